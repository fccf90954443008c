// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/changes.h"

namespace linkbal {

namespace {

asio::awaitable<bool> wait(std::shared_ptr<asio::steady_timer> timer,
                           std::function<bool()> condition) {
    while (!condition()) {
        error_code notified;
        co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, notified));
        if (!notified) {
            co_return condition(); // the last moment counts
        }
    }
    co_return true;
}

} // namespace

void Changes::notify() {
    std::erase_if(waiting_, [](const auto& timer) { return timer.expired(); });
    for (const auto& timer : waiting_) {
        if (const auto alive = timer.lock()) {
            alive->cancel();
        }
    }
}

asio::awaitable<bool> Changes::wait_until(std::function<bool()> condition,
                                          std::chrono::milliseconds patience) {
    auto timer = std::make_shared<asio::steady_timer>(*context_, patience);
    waiting_.push_back(timer);
    return wait(std::move(timer), std::move(condition));
}

} // namespace linkbal
