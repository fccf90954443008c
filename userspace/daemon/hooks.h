// SPDX-License-Identifier: GPL-2.0-or-later
// The command that is run when the state of a link changes.
#pragma once

#include "daemon/asio.h"

#include <cstddef>
#include <memory>
#include <string>

#include "core/config.h"
#include "daemon/link_change.h"

namespace linkbal {

// Runs [hooks] on_change once for each change, one at a time, in order. Nobody ever waits for it.
class Hooks {
  public:
    // Changes that wait. A hook that is too slow loses the oldest: what is true now is told last.
    static constexpr size_t queue_limit = 256;

    Hooks(asio::io_context& context, HooksConfig config, std::string instance);
    Hooks(const Hooks&) = delete;
    Hooks& operator=(const Hooks&) = delete;
    ~Hooks(); // what waits is forgotten, what runs is killed

    void changed(const LinkChange& change);
    // For the changes that wait already, too. The command that runs is left to end.
    void reconfigure(HooksConfig config);

  private:
    struct State;
    static asio::awaitable<void> work(std::shared_ptr<State> state);

    asio::io_context* context_;
    std::shared_ptr<State> state_;
};

} // namespace linkbal
