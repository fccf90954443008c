// SPDX-License-Identifier: GPL-2.0-or-later
// [firewall], [[forward]] and [helpers] as values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"

namespace linkbal {

enum class Transport : uint8_t { tcp, udp };
inline constexpr std::array transports{Transport::tcp, Transport::udp};

// Both ends included, 1 to 65535.
struct PortRange {
    uint16_t first = 0;
    uint16_t last = 0;
    auto operator<=>(const PortRange&) const = default;
};
struct ServicePorts {
    Transport transport = Transport::tcp;
    PortRange ports;
    auto operator<=>(const ServicePorts&) const = default;
};

// Where connections may come from: the whole LAN ("lan"), whoever comes by an uplink ("uplinks"), and
// networks, whichever way they come.
struct Origins {
    bool lan = false;
    bool uplinks = false;
    std::vector<Prefix> networks{};
    [[nodiscard]] bool nobody() const { return !lan && !uplinks && networks.empty(); }
    bool operator==(const Origins&) const = default;
};

// New connections of one source address (IPv6: of one /64). "10/minute"
struct ConnectionRate {
    uint32_t connections = 0; // 1 to 10000
    enum class Unit : uint8_t { second, minute, hour } unit = Unit::minute;
    auto operator<=>(const ConnectionRate&) const = default;
};

// [[firewall.allow]]: a service of the gateway's own.
struct AllowConfig {
    std::vector<ServicePorts> services; // of every name in the file, in order
    Origins from{.lan = true};
    std::optional<ConnectionRate> rate; // of what comes from outside the LAN
    std::vector<uint8_t> protocols{};   // of IP, without ports: their numbers
    bool operator==(const AllowConfig&) const = default;
};

// What can be logged, a bit each, in the order of the words in the file.
enum class FirewallLog : uint8_t {
    fragments = 1,
    spoofed = 2,
    invalid = 4,
    input = 8,
    forward = 16
};

struct FirewallConfig {
    Origins ping{.lan = true}; // who gets echo replies from the gateway
    std::vector<AllowConfig> allow;
    // The LAN's DNS goes to these and to the gateway only; empty: to anybody.
    std::vector<IpAddress> dns_servers;
    // Sources that would be called spoofed (private, reserved) and do come by an uplink.
    std::vector<Prefix> expected_sources;
    uint8_t log = static_cast<uint8_t>(FirewallLog::fragments);
    std::string log_prefix = "linkbal"; // 1 to 40 characters; "PREFIX fragment: " is logged
    bool operator==(const FirewallConfig&) const = default;
};

// [[forward]]: connections from outside to a host of the LAN.
struct ForwardConfig {
    std::string name;                                 // for comments; empty: none
    std::vector<Transport> protocols{Transport::tcp}; // one or both, in the order of the enum
    PortRange port;
    std::optional<IpAddress> to;      // always there in an accepted configuration
    std::optional<uint16_t> to_port;  // of the first port; empty: the same as outside
    std::vector<std::string> uplinks; // names; empty: all
    std::vector<Prefix> from;         // sources, of the family of `to`; empty: anybody
    bool hairpin = true;              // hosts of the LAN may use the uplinks' addresses, too
    bool operator==(const ForwardConfig&) const = default;
};

// The kernel's connection tracking helpers that can be assigned to a port.
struct HelperConfig {
    std::string name; // the kernel's: "ftp", "sip", "Q.931"
    Transport transport = Transport::tcp;
    std::vector<uint16_t> ports; // of the server, sorted
    auto operator<=>(const HelperConfig&) const = default;
};

// [[uplink]] mss: the largest TCP segment that is let through.
struct MssConfig {
    enum class Mode : uint8_t { automatic, off, fixed } mode = Mode::automatic;
    uint16_t size = 0; // of Mode::fixed, bytes of payload: 536 to 9000
    bool operator==(const MssConfig&) const = default;
};

} // namespace linkbal
