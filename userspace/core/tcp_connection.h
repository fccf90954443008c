// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <compare>
#include <cstdint>

#include "core/address.h"

namespace linkbal {

// A TCP connection as the packets of its end on our side have it when they reach the gateway, before
// any NAT. The client is the LAN's host, whichever side opened the connection. Both addresses are of
// one family, ports in host byte order.
struct TcpConnection {
    IpAddress client;
    IpAddress server;
    uint16_t client_port = 0;
    uint16_t server_port = 0;
    auto operator<=>(const TcpConnection&) const = default;
};

} // namespace linkbal
