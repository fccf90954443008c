// SPDX-License-Identifier: GPL-2.0-or-later
// The end of an uplink's connections. They can't move to another uplink, where they would have
// another address; so that clients don't wait for minutes, the gateway resets them in their servers'
// names. Needs CAP_NET_ADMIN and CAP_NET_RAW in the network namespace of the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/tcp_connection.h"
#include "util/result.h"

namespace linkbal {

// More of them are not told: their entries are deleted like the others'.
inline constexpr size_t most_resets = 65536;

struct EndedConnections {
    size_t announced = 0; // TCP connections whose clients get a reset with their next packet
    size_t provoked = 0;  // ... and were made to send one
    size_t left_out = 0;  // beyond most_resets
    // What kept clients from being told. Their connections were ended all the same.
    std::optional<Error> trouble;
};

// Ends all connections, of one family or of both, whose ct mark is `mark` within `mask`, as
// delete_by_mark(), and with `reset`
// tells the clients behind us of TCP connections. In this order: the connections go into the dead
// sets of the table `inet INSTANCE`, their entries are deleted, and from here on the next packet of
// a client is answered by a reset and leaves by no link; then silent clients are provoked. Without
// the sets in the table (NetfilterState::resets) that is the trouble. An error is one of deletion.
Result<EndedConnections> end_connections(const std::string& instance, uint32_t mark, uint32_t mask,
                                         std::optional<Family> family, bool reset);

// Adds connections to the dead sets in one transaction; all of them, or none. Sets that are full are
// emptied first: what ended last matters most.
Status announce_dead(const std::string& table, std::span<const TcpConnection> connections);

// For connections whose entries are gone already: announces them, ends what was taken for them
// meanwhile (kernel/strays.h), and provokes their clients. Returns how many were provoked.
Result<size_t> reset_clients(const std::string& instance,
                             std::span<const TcpConnection> connections);

} // namespace linkbal
