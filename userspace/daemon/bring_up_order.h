// SPDX-License-Identifier: GPL-2.0-or-later
// Brings links up by their commands: in order at first, and again when they fail.
#pragma once

#include "daemon/asio.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "daemon/bring_up.h"
#include "daemon/changes.h"
#include "daemon/process.h"

namespace linkbal {

bool has_commands(const UplinkConfig& uplink);

// Between a failure and the next attempt: twice as long each time.
struct BringUpPauses {
    std::chrono::milliseconds first{30'000}, longest{600'000};
};

class BringUpOrder {
  public:
    struct Callbacks {
        // As configured now; empty: no longer.
        std::function<std::optional<UplinkConfig>(const std::string& uplink)> config;
        std::function<Result<LinkPlace>(const std::string& uplink)> place;
        std::function<uint32_t(const std::string& uplink)> mark; // of its packets
        // Empty: the link may be used. Otherwise why not.
        std::function<void(const std::string& uplink, std::optional<std::string> reason)> ready;
    };
    BringUpOrder(asio::io_context& context, std::string instance, Callbacks callbacks,
                 BringUpPauses pauses = {});
    BringUpOrder(const BringUpOrder&) = delete;
    BringUpOrder& operator=(const BringUpOrder&) = delete;
    ~BringUpOrder();

    // One after the other. Those that are on their way already are passed over.
    void start(const std::vector<std::string>& uplinks);
    // A link is down: after a while its commands run again, if it has any, unless it is up by then.
    void on_down(const std::string& uplink);
    void on_up(const std::string& uplink);
    // Links may be where they were not.
    void notify() { changes_.notify(); }
    void stop() { processes_.stop(); }

  private:
    struct State;
    static asio::awaitable<void> one_after_the_other(std::shared_ptr<State> state,
                                                     std::vector<std::string> uplinks);
    static asio::awaitable<void> bring_up(std::shared_ptr<State> state, std::string uplink);
    static void try_again(const std::shared_ptr<State>& state, const std::string& uplink);

    asio::io_context* context_;
    Changes changes_;
    Processes processes_;
    std::shared_ptr<State> state_;
};

} // namespace linkbal
