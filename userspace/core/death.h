// SPDX-License-Identifier: GPL-2.0-or-later
// TCP connections that the kernel itself has ended in their middle, and what becomes of their clients.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>

#include "core/address.h"
#include "core/facts.h"
#include "core/tcp_connection.h"
#include "util/clock.h"

namespace linkbal {

struct Death {
    TcpConnection connection;
    IpAddress outer; // ours, by which the other end knew the connection
    Time heard;
};

enum class Fate : uint8_t {
    reset, // its address is gone: the client has to be told
    wait,  // nobody has looked yet, or not late enough
    leave, // its address is still ours: the client goes on, or finds out from its server
};

// The kernel tells of a connection's end before or after it tells of the link's.
inline constexpr std::chrono::seconds death_patience{2};

// Of interfaces that are up: one that is switched off keeps its IPv4 addresses.
std::set<IpAddress> addresses_in_use(const Facts& facts);

Fate fate_of(const Death& death, const std::set<IpAddress>& in_use, Time now);

} // namespace linkbal
