// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/service.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

namespace linkbal {

namespace {

void tell(const std::string& message) {
    if (const int result = sd_notify(0, message.c_str()); result < 0) {
        spdlog::debug("telling the service manager: error {}", -result);
    }
}

// A newline would begin another assignment.
std::string status_line(std::string_view status) {
    std::string line = fmt::format("STATUS={}", status);
    std::ranges::replace(line, '\n', ' ');
    return line;
}

} // namespace

ServiceManager::ServiceManager(asio::io_context& context)
    : watchdog_(std::make_shared<asio::steady_timer>(context)) {
    uint64_t interval = 0;
    if (sd_watchdog_enabled(0, &interval) > 0) {
        ping(watchdog_, std::chrono::microseconds(interval / 2));
    }
}

void ServiceManager::ready(std::string_view status) { tell("READY=1\n" + status_line(status)); }

void ServiceManager::status(std::string_view status) { tell(status_line(status)); }

// The time lets the manager tell this reload's READY=1 from an earlier one (Type=notify-reload).
void ServiceManager::reloading() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(now);
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", microseconds.count()));
}

void ServiceManager::stopping() { tell("STOPPING=1"); }

void ServiceManager::ping(const std::shared_ptr<asio::steady_timer>& timer,
                          std::chrono::microseconds interval) {
    tell("WATCHDOG=1");
    timer->expires_after(interval);
    // Weak: an expiry that is queued already when the object goes finds no timer.
    timer->async_wait([weak = std::weak_ptr(timer), interval](error_code error) {
        if (const auto alive = weak.lock(); alive && !error) {
            ping(alive, interval);
        }
    });
}

} // namespace linkbal
