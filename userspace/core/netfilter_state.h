// SPDX-License-Identifier: GPL-2.0-or-later
// What the nftables table `inet INSTANCE` is for, from which core/netfilter_rules.h makes its chains
// and rules.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/firewall_config.h"

namespace linkbal {

struct NetfilterUplink {
    std::string name;
    std::string device;
    uint32_t mark = 0;    // within mark_mask
    bool retired = false; // no longer configured, but connections of it are open
    auto operator<=>(const NetfilterUplink&) const = default;
};

struct UplinkAddress {
    std::string uplink;
    IpAddress address = IpAddress::any(Family::ipv4);
    auto operator<=>(const UplinkAddress&) const = default;
};

// SYNs that pass the device in either direction announce no larger segments than fit.
struct MssClamp {
    std::string device;
    std::array<uint16_t, 2> mtu{}; // by Family; of what comes in: what goes out has the path's
    uint16_t size = 0;             // bytes of payload, both ways, in place of all that; 0: not said
    auto operator<=>(const MssClamp&) const = default;
};

struct FirewallState {
    FirewallConfig config;
    bool serves_dns = false;      // the LAN asks the gateway
    std::vector<Prefix> expected; // sources that are not spoofed, whichever uplink they come by
    // Uplinks' own subnets, where the list of spoofed sources has them.
    struct Subnet {
        std::string device;
        Prefix network = Prefix::any(Family::ipv4);
        auto operator<=>(const Subnet&) const = default;
    };
    std::vector<Subnet> subnets;
    bool operator==(const FirewallState&) const = default;
};

struct NetfilterState {
    uint32_t mark_mask = 0;
    std::vector<NetfilterUplink> uplinks;
    std::vector<Prefix> masqueraded; // sources that are masqueraded on every uplink: the LAN
    bool resets = true; // clients of ended TCP connections are told (the kernel can: 5.9)
    std::vector<std::string> lan_devices{};        // as configured
    std::vector<UplinkAddress> uplink_addresses{}; // where the LAN reaches forwards; sorted
    std::optional<FirewallState> firewall{};
    std::vector<ForwardConfig> forwards{};
    std::vector<HelperConfig> helpers{};
    std::vector<MssClamp> clamps{};
    bool operator==(const NetfilterState&) const = default;
};

// The mark of new packets that came in pieces, which no uplink has: all bits of the mask.
inline uint32_t fragment_mark(const NetfilterState& state) { return state.mark_mask; }

} // namespace linkbal
