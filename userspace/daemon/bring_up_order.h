// SPDX-License-Identifier: GPL-2.0-or-later
// Brings links up by their commands: in order at the start, and again when they fail.
#pragma once

#include "daemon/asio.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "daemon/bring_up.h"
#include "daemon/changes.h"
#include "daemon/process.h"

namespace linkbal {

// Between a failure and the next attempt: twice as long each time.
struct BringUpPauses {
    std::chrono::milliseconds first{30'000}, longest{600'000};
};

class BringUpOrder {
  public:
    struct Callbacks {
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

    // Those of `uplinks` that have commands, one after the other.
    void start(std::vector<UplinkConfig> uplinks);
    // A link is down: after a while its commands run again, if it has any and none of them is at work
    // or about to be.
    void on_down(const UplinkConfig& uplink);
    // It is up, whoever did it.
    void on_up(const std::string& uplink);
    // Links may be where they were not.
    void notify() { changes_.notify(); }
    void stop() { processes_.stop(); }

  private:
    struct State;
    static asio::awaitable<void> one_after_the_other(std::shared_ptr<State> state,
                                                     std::vector<UplinkConfig> uplinks);
    static asio::awaitable<void> bring_up(std::shared_ptr<State> state, UplinkConfig uplink);
    static void try_again(const std::shared_ptr<State>& state, const UplinkConfig& uplink);

    asio::io_context* context_;
    Changes changes_;
    Processes processes_;
    std::shared_ptr<State> state_;
};

} // namespace linkbal
