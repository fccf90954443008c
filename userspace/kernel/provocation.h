// SPDX-License-Identifier: GPL-2.0-or-later
// Makes clients speak that only listen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/tcp_connection.h"
#include "util/result.h"

namespace linkbal {

// The IP packet from the server to the client that provoke() sends, checksums included.
std::vector<uint8_t> provoking_packet(const TcpConnection& connection, uint32_t sequence,
                                      uint32_t acknowledged);

// Sends each client, in its server's name, a segment that is out of its window. TCP answers it with
// an acknowledgement (RFC 9293, 3.10.7.4), and the answer meets the reset of its dead set. The raw
// sockets' send buffers hold a few hundred packets and the call waits for the devices to take them,
// so no queue overflows. Returns how many were sent: a client that no route leads to is no error.
// Needs CAP_NET_RAW.
Result<size_t> provoke(std::span<const TcpConnection> connections);

} // namespace linkbal
