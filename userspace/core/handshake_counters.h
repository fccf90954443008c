// SPDX-License-Identifier: GPL-2.0-or-later
// What the datapath counts of the beginnings of TCP connections (include/linkbal/abi.h), as values.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace linkbal {

// Servers fall into slots by a hash of their address.
inline constexpr size_t handshake_slots = 64;

// Of one uplink and one family, since the uplink has its id; they only grow.
struct HandshakeCounters {
    uint64_t attempts = 0;                  // connections, by their first SYN
    uint64_t retries = 0;                   // SYNs that were sent again
    uint64_t answers = 0;                   // connections that the server accepted or refused
    std::chrono::nanoseconds round_trips{}; // sum, from SYN to answer
    uint64_t round_trip_samples = 0;        // not of connections whose SYN was sent again
    std::array<uint32_t, handshake_slots>
        slot_attempts{}; // SYNs, the repeated ones as well; may wrap
    std::array<uint32_t, handshake_slots> slot_answers{}; // may wrap
    bool operator==(const HandshakeCounters&) const = default;
};

} // namespace linkbal
