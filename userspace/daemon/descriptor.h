// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "daemon/asio.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// The event loop's descriptor takes over ours.
inline Status adopt(asio::posix::stream_descriptor& descriptor, Fd fd) {
    error_code error;
    // NOLINTNEXTLINE(bugprone-unused-return-value): it is `error` once more
    descriptor.assign(fd.get(), error);
    if (error) {
        return fail_errno(error.value(), "wait for a descriptor");
    }
    static_cast<void>(fd.release());
    return {};
}

} // namespace linkbal
