// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <compare>
#include <cstdint>

#include "core/address.h"

namespace linkbal {

// One direction of a connection as its packets reach the gateway, before any NAT. Both addresses are
// of one family, ports in host byte order and 0 for protocols that have none.
struct FlowTuple {
    IpAddress source = IpAddress::any(Family::ipv4);
    IpAddress destination = IpAddress::any(Family::ipv4);
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint8_t protocol = 0; // IPPROTO_*
    auto operator<=>(const FlowTuple&) const = default;
};

} // namespace linkbal
