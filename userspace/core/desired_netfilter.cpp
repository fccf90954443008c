// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/desired_netfilter.h"

#include <algorithm>
#include <limits>

#include "core/desired.h"
#include "core/firewall_rules.h"

namespace linkbal {

namespace {

// Port forwards can be reached from the LAN by these.
std::vector<UplinkAddress> addresses_of(const std::vector<Uplink>& uplinks, const Facts& facts) {
    std::vector<UplinkAddress> all;
    for (const Uplink& uplink : uplinks) {
        const Interface* interface = facts.interface(uplink.device);
        for (const Family family : families) {
            if (interface != nullptr && !uplink.retired) {
                for (const auto& known : global_addresses(*interface, family)) {
                    all.push_back({uplink.name, known.address});
                }
            }
        }
    }
    std::ranges::sort(all);
    const auto rest = std::ranges::unique(all);
    all.erase(rest.begin(), rest.end());
    return all;
}

bool looks_spoofed(const Prefix& network) {
    return std::ranges::any_of(spoofed_sources(),
                               [&](const Prefix& nobody) { return nobody.overlaps(network); });
}

// A modem that is a router itself has a private address, and so has our side of its network.
std::vector<FirewallState::Subnet> private_subnets(const std::vector<Uplink>& uplinks,
                                                   const Facts& facts) {
    std::vector<FirewallState::Subnet> subnets;
    for (const Uplink& uplink : uplinks) {
        const Interface* interface = facts.interface(uplink.device);
        for (const Family family : families) {
            if (interface != nullptr) {
                for (const auto& known : global_addresses(*interface, family)) {
                    subnets.push_back({uplink.device, known.subnet()});
                }
            }
        }
    }
    std::erase_if(subnets, [](const auto& subnet) { return !looks_spoofed(subnet.network); });
    std::ranges::sort(subnets);
    const auto rest = std::ranges::unique(subnets);
    subnets.erase(rest.begin(), rest.end());
    return subnets;
}

FirewallState desired_firewall(const Config& config, const Facts& facts,
                               const std::vector<Uplink>& uplinks) {
    FirewallState firewall{*config.firewall, config.dhcp && serves_dns(*config.dhcp),
                           config.firewall->expected_sources, private_subnets(uplinks, facts)};
    firewall.expected = outermost(std::move(firewall.expected));
    auto& servers = firewall.config.dns_servers;
    std::ranges::sort(servers);
    const auto rest = std::ranges::unique(servers);
    servers.erase(rest.begin(), rest.end());
    return firewall;
}

// The narrowest way to a host of the LAN.
uint32_t lan_mtu(const Config& config, const Facts& facts) {
    uint32_t narrowest = std::numeric_limits<uint32_t>::max();
    for (const auto& name : config.lan.interfaces) {
        const Interface* interface = facts.interface(name);
        if (interface != nullptr) {
            narrowest = std::min(narrowest, interface->mtu[0]);
        }
    }
    return narrowest;
}

// Where hosts that know the LAN's MTU only would send too much: narrower links and tunnels.
bool needs_clamp(const Interface& interface, uint32_t lan) {
    return interface.mtu[0] < lan || !interface.ethernet;
}

std::vector<MssClamp> desired_clamps(const Config& config, const Facts& facts) {
    std::vector<MssClamp> clamps;
    const uint32_t lan = lan_mtu(config, facts);
    for (const UplinkConfig& uplink : config.uplinks) {
        const Interface* interface = facts.interface(uplink.interface);
        if (uplink.mss.mode == MssConfig::Mode::fixed) {
            clamps.push_back({uplink.interface, 0, uplink.mss.size});
        } else if (uplink.mss.mode == MssConfig::Mode::automatic && interface != nullptr &&
                   needs_clamp(*interface, lan)) {
            const auto largest = uint32_t{std::numeric_limits<uint16_t>::max()};
            const auto mtu = static_cast<uint16_t>(std::min(interface->mtu[0], largest));
            clamps.push_back({uplink.interface, mtu, 0});
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
