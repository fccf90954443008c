// SPDX-License-Identifier: GPL-2.0-or-later
// The way that a probe takes, and sockets that keep to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/socket.h>

#include "core/address.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

struct ProbePath {
    std::string device;
    Family family = Family::ipv4;
    std::optional<IpAddress> gateway; // the address of the target that has none
    std::optional<IpAddress> source;  // empty: as the kernel chooses
    uint32_t mark = 0;                // SO_MARK; 0: none
    bool operator==(const ProbePath&) const = default;
};

// An address as system calls take it.
struct SocketAddress {
    SocketAddress(const IpAddress& address, uint16_t port);
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }

    sockaddr_storage storage{};
    socklen_t size = 0;
};

// A non-blocking socket that is bound to the path's device and so sends by it whatever the routing
// says, and carries its mark and source.
Result<Fd> open_probe_socket(const ProbePath& path, int type, int protocol);

// The device of a socket may have gone, and another one of its name have come: worth another socket.
// A full queue is not.
bool is_worth_another_socket(int error);

} // namespace linkbal
