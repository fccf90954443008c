// SPDX-License-Identifier: GPL-2.0-or-later
// A change by `linkbal up --confirm` that a daemon keeps the time of.
#pragma once

#include "daemon/asio.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/memory.h"
#include "util/clock.h"
#include "util/result.h"

namespace linkbal {

class Trial {
  public:
    // `over` is called from the event loop when the time is up.
    Trial(asio::io_context& context, std::string instance, std::function<void()> over)
        : instance_(std::move(instance)), timer_(context), over_(std::move(over)) {}

    [[nodiscard]] bool waits() const { return deadline_.has_value(); }
    // For those who are refused; empty: nothing waits.
    [[nodiscard]] std::optional<std::string> words() const;

    // Before the change, and when it is made or has failed.
    Status begin(const std::string& text, uint32_t seconds);
    Status made(uint32_t seconds);
    // It is confirmed, or was never made.
    Status end();
    // `down` has removed everything.
    void forget();
    // Something is applied for good, and nothing waits: of a former change nothing may be noted.
    Status end_stale();

    // What is to be at work again; it is remembered that this has begun.
    Result<Config> return_to();
    // Nothing waits then, even if it can't be noted.
    Status returned();
    // It could not go back: `over` comes again.
    void try_again();

  private:
    void wait_until(Time deadline);

    std::string instance_;
    asio::steady_timer timer_;
    std::function<void()> over_;
    std::optional<Time> deadline_;
};

// Else a change that is over is on trial for the next start, which takes it back.
void log_unnoted(const Status& noted);

} // namespace linkbal
