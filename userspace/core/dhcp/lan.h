// SPDX-License-Identifier: GPL-2.0-or-later
// What [dhcp] gives to whom, by the subnets that the gateway has on the LAN.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/facts.h"

namespace linkbal {

// A subnet of an interface, and the gateway's own address in it.
struct LanSubnet {
    std::string interface;
    IpAddress gateway;
    Prefix network;
    bool operator==(const LanSubnet&) const = default;
};

// In the order of [lan] interfaces, each once; those of link scope are none.
[[nodiscard]] std::vector<LanSubnet> lan_subnets(const Config& config, const Facts& facts);

// The subnet that a range begins in: of its own interface, or of the first that has it.
[[nodiscard]] const LanSubnet* subnet_of(const DhcpRangeConfig& range,
                                         const std::vector<LanSubnet>& subnets);

struct DhcpPool {
    IpAddress first, last;           // both ends included
    std::optional<IpAddress> router; // IPv4: always there
};

// A subnet in which addresses are given away.
struct DhcpSubnet {
    LanSubnet lan;
    std::vector<DhcpPool> pools;
    std::vector<DhcpHostConfig> hosts;
};

// Those with pools, the interfaces in the order of [lan]. In mode "managed" an IPv6 subnet without a
// range has PREFIX::1000 to PREFIX::1fff.
[[nodiscard]] std::vector<DhcpSubnet> dhcp_subnets(const Config& config, const Facts& facts);

// "02:00:00:00:00:10"
[[nodiscard]] std::string mac_text(const MacAddress& mac);

} // namespace linkbal
