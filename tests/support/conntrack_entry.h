// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string_view>

#include "util/result.h"

namespace linkbal::test {

// IPS_CONFIRMED, IPS_SEEN_REPLY, IPS_ASSURED.
inline constexpr uint32_t conntrack_established = 0x8 | 0x2 | 0x4;

struct ConntrackEntry {
    std::string_view source;
    std::string_view destination;
    uint8_t protocol;
    uint16_t source_port = 40000;
    uint16_t destination_port = 443;
    uint32_t mark = 0;
    // The source as the other end sees it; empty: as it is.
    std::string_view nat_source{};
    uint16_t nat_port = 0;
    // The destination that the packets are forwarded to; empty: as it is.
    std::string_view nat_destination{};
    uint16_t nat_destination_port = 0;
    uint32_t status = conntrack_established;
    uint8_t tcp_state = 3;  // TCP_CONNTRACK_ESTABLISHED
    uint32_t timeout = 600; // in seconds
    const char* helper = nullptr;
    bool adjusted = false; // its sequence numbers
};

// Makes conntrack know a connection that never was.
Status add_conntrack(const ConntrackEntry& entry);

} // namespace linkbal::test
