// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/desired_netfilter.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/desired.h"
#include "core/firewall_rules.h"
#include "util/sorted_and_unique.h"

namespace linkbal {

namespace {

// What `make` makes of each address of an uplink's device, sorted, each once.
template <typename Item, typename Make>
std::vector<Item> for_addresses(const std::vector<Uplink>& uplinks, const Facts& facts, Make make) {
    std::vector<Item> all;
    for (const Uplink& uplink : uplinks) {
        const Interface* interface = facts.interface(uplink.device);
        for (const Family family : families) {
            if (interface != nullptr) {
                for (const auto& known : global_addresses(*interface, family)) {
                    all.push_back(make(uplink, known));
                }
            }
        }
    }
    return sorted_and_unique(std::move(all));
}

// Port forwards can be reached from the LAN by these.
std::vector<UplinkAddress> addresses_of(std::vector<Uplink> uplinks, const Facts& facts) {
    std::erase_if(uplinks, [](const Uplink& uplink) { return uplink.retired; });
    return for_addresses<UplinkAddress>(uplinks, facts,
                                        [](const Uplink& uplink, const InterfaceAddress& known) {
                                            return UplinkAddress{uplink.name, known.address};
                                        });
}

bool looks_spoofed(const Prefix& network) {
    return std::ranges::any_of(spoofed_sources(),
                               [&](const Prefix& nobody) { return nobody.overlaps(network); });
}

// A modem that is a router itself has a private address, and so has our side of its network.
std::vector<FirewallState::Subnet> private_subnets(const std::vector<Uplink>& uplinks,
                                                   const Facts& facts) {
    using Subnet = FirewallState::Subnet;
    auto subnets = for_addresses<Subnet>(uplinks, facts,
                                         [](const Uplink& uplink, const InterfaceAddress& known) {
                                             return Subnet{uplink.device, known.subnet()};
                                         });
    std::erase_if(subnets, [](const Subnet& subnet) { return !looks_spoofed(subnet.network); });
    return subnets;
}

FirewallState desired_firewall(const Config& config, const Facts& facts,
                               const std::vector<Uplink>& uplinks) {
    FirewallState firewall{*config.firewall, config.dhcp && serves_dns(*config.dhcp),
                           config.firewall->expected_sources, private_subnets(uplinks, facts)};
    firewall.expected = outermost(std::move(firewall.expected));
    auto& servers = firewall.config.dns_servers;
    servers = sorted_and_unique(std::move(servers));
    return firewall;
}

using Mtus = std::array<uint32_t, 2>; // by Family

// The narrowest ways to a host of the LAN.
Mtus lan_mtu(const Config& config, const Facts& facts) {
    Mtus narrowest{std::numeric_limits<uint32_t>::max(), std::numeric_limits<uint32_t>::max()};
    for (const auto& name : config.lan.interfaces) {
        const Interface* interface = facts.interface(name);
        for (size_t i = 0; interface != nullptr && i < narrowest.size(); ++i) {
            narrowest.at(i) = std::min(narrowest.at(i), interface->mtu.at(i));
        }
    }
    return narrowest;
}

// Where hosts that know the LAN's MTU only would send too much: narrower links and tunnels.
bool needs_clamp(const Interface& interface, const Mtus& lan) {
    return interface.mtu[0] < lan[0] || interface.mtu[1] < lan[1] || !interface.ethernet;
}

uint16_t clamped_mtu(uint32_t mtu) {
    return static_cast<uint16_t>(std::min<uint32_t>(mtu, std::numeric_limits<uint16_t>::max()));
}

std::vector<MssClamp> desired_clamps(const Config& config, const Facts& facts) {
    std::vector<MssClamp> clamps;
    const Mtus lan = lan_mtu(config, facts);
    for (const UplinkConfig& uplink : config.uplinks) {
        const Interface* interface = facts.interface(uplink.interface);
        if (uplink.mss.mode == MssConfig::Mode::fixed) {
            clamps.push_back({uplink.interface, {}, uplink.mss.size});
        } else if (uplink.mss.mode == MssConfig::Mode::automatic && interface != nullptr &&
                   needs_clamp(*interface, lan)) {
            clamps.push_back({uplink.interface,
                              {clamped_mtu(interface->mtu[0]), clamped_mtu(interface->mtu[1])},
                              0});
        }
    }
    return clamps;
}

} // namespace

NetfilterState desired_netfilter(const Config& config, const Facts& facts,
                                 const std::vector<Uplink>& uplinks, std::vector<Prefix> lan,
                                 bool resets) {
    NetfilterState netfilter{.mark_mask = config.balance.mark_mask,
                             .uplinks = {},
                             .masqueraded = std::move(lan),
                             .resets = resets,
                             .lan_devices = config.lan.interfaces,
                             .forwards = config.forwards,
                             .helpers = config.helpers,
                             .clamps = desired_clamps(config, facts)};
    for (const Uplink& uplink : uplinks) {
        netfilter.uplinks.push_back({uplink.name, uplink.device,
                                     uplink_mark(uplink.id, config.balance.mark_mask),
                                     uplink.retired});
    }
    if (std::ranges::any_of(config.forwards, &ForwardConfig::hairpin)) {
        netfilter.uplink_addresses = addresses_of(uplinks, facts);
    }
    if (config.firewall) {
        netfilter.firewall = desired_firewall(config, facts, uplinks);
    }
    return netfilter;
}

} // namespace linkbal
