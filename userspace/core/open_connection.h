// SPDX-License-Identifier: GPL-2.0-or-later
// What `linkbal flows` shows, to people and to programs, from the same values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/flow_tuple.h"

namespace linkbal {

struct OpenConnection {
    FlowTuple opener;                                    // as its opener sees it
    IpAddress nat_source = IpAddress::any(Family::ipv4); // the opener, as the other end sees it
    uint16_t nat_port = 0;
    uint8_t uplink = 0;     // id
    bool offloaded = false; // the fast path would take packets of at least one direction now
    std::string_view state; // a TCP state, or "replied" and "unreplied"
    // Both directions, the fast path's included; bytes of IP, without link-layer headers.
    uint64_t packets = 0;
    uint64_t bytes = 0;
};

// "tcp", "udp" and so on, or the protocol's number.
std::string protocol_text(uint8_t protocol);

// "192.0.2.1:80", "[2001:db8::1]:80"; without the port where the protocol has none.
std::string endpoint_text(const IpAddress& address, uint16_t port, uint8_t protocol);

// As an element of the array that `flows --json` prints. `uplink` is its name, or its id as text.
std::string json_text(const OpenConnection& connection, std::string_view uplink);

} // namespace linkbal
