// SPDX-License-Identifier: GPL-2.0-or-later
// Open TCP connections of an uplink, from conntrack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <libmnl/libmnl.h>

#include "core/tcp_connection.h"
#include "util/result.h"

namespace linkbal {

struct TcpEntry {
    TcpConnection connection;
    IpAddress outer; // the gateway's address that the other end knows, or what stands in its place
};

// The connection that a ctnetlink message is about, if it is TCP, has a client that believes in it
// (established to the last FIN's acknowledgement; whoever still sends a SYN gets a new connection) and
// one of its ends is behind us.
std::optional<TcpEntry> tcp_entry_of(const nlmsghdr& entry,
                                     const std::function<bool(const IpAddress&)>& is_behind_us);
std::optional<TcpConnection>
tcp_connection_of(const nlmsghdr& entry, const std::function<bool(const IpAddress&)>& is_behind_us);

struct TcpConnections {
    std::vector<TcpConnection> connections; // at most as many as were asked for
    size_t left_out = 0;                    // beyond that
};

// All of them whose ct mark is `mark` within `mask`. The kernel's dump filters by mark. Connections
// of the gateway's own are not among them: their sockets see the failure themselves.
Result<TcpConnections> tcp_connections_by_mark(uint32_t mark, uint32_t mask, size_t cap);

} // namespace linkbal
