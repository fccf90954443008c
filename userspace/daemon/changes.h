// SPDX-License-Identifier: GPL-2.0-or-later
// Waiting until something is so, without asking for it all the time.
#pragma once

#include "daemon/asio.h"

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

namespace linkbal {

// Those who wait look again whenever notify() says that something may have changed.
class Changes {
  public:
    explicit Changes(asio::io_context& context) : context_(&context) {}

    void notify();

    // True as soon as `condition` is, false once `patience` is over. The awaitable may outlive this
    // object; nobody notifies it then.
    asio::awaitable<bool> wait_until(std::function<bool()> condition,
                                     std::chrono::milliseconds patience);

  private:
    asio::io_context* context_;
    // One for each who waits, since a new expiry ends what waits for the former one.
    std::vector<std::weak_ptr<asio::steady_timer>> waiting_;
};

} // namespace linkbal
