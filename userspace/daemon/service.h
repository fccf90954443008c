// SPDX-License-Identifier: GPL-2.0-or-later
// What the service manager is told (sd_notify(3)). Without NOTIFY_SOCKET nothing happens.
#pragma once

#include "daemon/asio.h"

#include <chrono>
#include <memory>
#include <string_view>

namespace linkbal {

class ServiceManager {
  public:
    // From here on pings the manager's watchdog from the event loop, at half of the interval that it
    // asks for (WATCHDOG_USEC): a loop that hangs is noticed.
    explicit ServiceManager(asio::io_context& context);
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;
    ~ServiceManager() = default;

    // `status` is one line for `systemctl status`.
    static void ready(std::string_view status); // at the start, and when a reload is done
    static void status(std::string_view status);
    static void reloading();
    static void stopping();

  private:
    static void ping(const std::shared_ptr<asio::steady_timer>& timer,
                     std::chrono::microseconds interval);
    std::shared_ptr<asio::steady_timer> watchdog_;
};

} // namespace linkbal
