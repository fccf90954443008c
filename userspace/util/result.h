// SPDX-License-Identifier: GPL-2.0-or-later
// The one result type: a value, or an error that says what was tried, on what, and the kernel's words.
#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace linkbal {

struct Error {
    std::string message; // a sentence fragment without a final full stop
    int code = 0;        // errno where the kernel said no, else 0

    // Puts what was being tried in front: "uplink velox1: " + message.
    [[nodiscard]] Error within(std::string_view context) const {
        return {fmt::format("{}: {}", context, message), code};
    }
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected(Error{fmt::format(format, std::forward<Args>(args)...), 0});
}

// An error of the kernel's: the message gets strerror(code) appended. `code` is positive.
[[nodiscard]] tl::unexpected<Error> fail_errno(int code, std::string_view what);

} // namespace linkbal
