// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>

#include <libmnl/libmnl.h>

#include "core/flow_tuple.h"

namespace linkbal {

// An entry of conntrack, as ctnetlink dumps it and tells of it.
struct TrackedConnection {
    FlowTuple original; // as the opener's packets come
    FlowTuple reply;    // as the answers come
    uint32_t mark = 0;
    uint32_t status = 0;                // IPS_*
    std::optional<uint8_t> tcp_state{}; // enum tcp_conntrack
    uint64_t packets = 0;               // both directions
    uint64_t bytes = 0;                 // of IP, without link-layer headers
};

// nullopt: it lacks addresses. Fast, as there may be a million: looks at each attribute once.
std::optional<TrackedConnection> tracked_connection_of(const nlmsghdr& message);

} // namespace linkbal
