// SPDX-License-Identifier: GPL-2.0-or-later
// [dhcp] as values: what hosts of the LAN are told by whom.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"

namespace linkbal {

using MacAddress = std::array<uint8_t, 6>;

enum class DhcpServer : uint8_t { dnsmasq, kea };

// What router advertisements tell hosts to do: make themselves an address, the same and ask for the
// rest by DHCPv6, or ask for the address as well.
enum class AdvertisementMode : uint8_t { slaac, stateless, managed };

// Addresses that are given away, both ends included.
struct DhcpRangeConfig {
    std::optional<std::string> interface; // empty: the one whose subnet has the range
    std::optional<IpAddress> first, last; // always there in an accepted configuration
    std::optional<IpAddress> router;      // IPv4; empty: the gateway's address in the subnet
    bool operator==(const DhcpRangeConfig&) const = default;
};

// An address that is kept for one host.
struct DhcpHostConfig {
    MacAddress mac{};
    std::optional<IpAddress> address; // always there in an accepted configuration
    std::string name;                 // empty: what the host calls itself
    bool operator==(const DhcpHostConfig&) const = default;
};

struct DhcpConfig {
    DhcpServer server = DhcpServer::dnsmasq;
    std::chrono::milliseconds lease_time{std::chrono::hours{12}}; // 2 min to 1 year
    std::optional<std::chrono::milliseconds> max_lease_time;      // Kea; empty: lease_time
    std::optional<std::string> domain;
    std::vector<IpAddress> dns_servers; // empty: the gateway itself
    std::optional<std::string> file;    // dnsmasq: the file; Kea: the directory; empty: the usual
    std::vector<DhcpRangeConfig> ranges;
    std::vector<DhcpHostConfig> hosts;
    std::optional<AdvertisementMode> ipv6; // empty: no router advertisements
    bool operator==(const DhcpConfig&) const = default;
};

// The gateway answers the LAN's DNS queries.
[[nodiscard]] inline bool serves_dns(const DhcpConfig& dhcp) {
    return dhcp.server == DhcpServer::dnsmasq && dhcp.dns_servers.empty();
}

} // namespace linkbal
