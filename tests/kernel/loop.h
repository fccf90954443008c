// SPDX-License-Identifier: GPL-2.0-or-later
// An event loop of the test's own, which ends when what the test waits for has come.
#pragma once

#include "daemon/asio.h"

#include <chrono>
#include <functional>
#include <optional>

#include "support/catch.h"

namespace linkbal::test {

constexpr std::chrono::seconds patience{20};

// Runs the loop until `work` is done; fails if that takes too long.
template <typename T>
T run_until_done(asio::io_context& context, asio::awaitable<T> work) {
    std::optional<T> result;
    asio::co_spawn(context, std::move(work), [&](const std::exception_ptr& failure, T value) {
        REQUIRE(!failure);
        result = std::move(value);
    });
    const auto deadline = std::chrono::steady_clock::now() + patience;
    context.restart();
    while (!result && context.run_one_until(deadline) != 0) {
    }
    REQUIRE(result);
    return *std::move(result);
}

// Runs the loop until `condition` holds. It is looked at after every event, and now and then for what is
// no event of the loop's.
inline bool run_until(asio::io_context& context, const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    context.restart();
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
        if (context.run_one_for(std::chrono::milliseconds(20)) == 0) {
            context.restart();
        }
    }
    return condition();
}

} // namespace linkbal::test
