// SPDX-License-Identifier: GPL-2.0-or-later
// Would the firewall and the port forwards let somebody in again the way that they have come? Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/facts.h"

namespace linkbal {

// A TCP connection to this machine. No IPv4-mapped addresses.
struct Session {
    IpAddress client;
    IpAddress server; // ours
    uint16_t port = 0;
    bool operator==(const Session&) const = default;
};

// By what a session comes.
struct SessionWay {
    enum class Side : uint8_t { lan, uplink, other } side = Side::other;
    std::string device{};   // empty: unknown
    std::string uplink{};   // its name, of Side::uplink
    bool neighbour = false; // the client is in a subnet of the device that is not of link scope
    std::vector<std::string> addressed{}; // the uplinks that have the address it has come to
    bool operator==(const SessionWay&) const = default;
};

// By the narrowest subnet or foreign route that leads to the client, else by the device that has the
// server's address. Routing may send the answers elsewhere.
SessionWay session_way(const Config& config, const Facts& facts, const Session& session);

// What keeps out a new connection from the same client to the same port, and the key that would admit
// it; empty: nothing.
struct SessionObstacle {
    std::string reason; // "no service is allowed there"
    std::string remedy; // "[[firewall.allow]] service = [\"22/tcp\"], from = [\"192.0.2.1\"]"
};
std::optional<SessionObstacle> session_obstacle(const Config& config,
                                                std::span<const Prefix> lan_networks,
                                                const SessionWay& way, const Session& session);

// The same as a line of warning.
std::optional<std::string> session_warning(const Config& config, const Facts& facts,
                                           const Session& session);

} // namespace linkbal
