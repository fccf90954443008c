// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/dhcp/lan.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace linkbal {

namespace {

// The longest prefix that leaves room for the pool below.
constexpr unsigned longest_pool_prefix = 112;

IpAddress with_low_bits(const Prefix& network, uint16_t low) {
    std::array<uint8_t, 16> bytes{};
    std::ranges::copy(network.address().bytes(), bytes.begin());
    bytes[14] = static_cast<uint8_t>(low >> 8);
    bytes[15] = static_cast<uint8_t>(low);
    return IpAddress(bytes);
}

std::vector<DhcpPool> written_pools(const DhcpConfig& dhcp, const LanSubnet& subnet,
                                    const std::vector<LanSubnet>& subnets) {
    const bool has_router = subnet.network.family() == Family::ipv4;
    std::vector<DhcpPool> pools;
    for (const DhcpRangeConfig& range : dhcp.ranges) {
        if (subnet_of(range, subnets) == &subnet && range.last) {
            const auto router = range.router.value_or(subnet.gateway);
            pools.push_back(
                {*range.first, *range.last, has_router ? std::optional(router) : std::nullopt});
        }
    }
    return pools;
}

std::vector<DhcpPool> pools_of(const DhcpConfig& dhcp, const LanSubnet& subnet,
                               const std::vector<LanSubnet>& subnets) {
    auto pools = written_pools(dhcp, subnet, subnets);
    const Prefix& network = subnet.network;
    if (pools.empty() && network.family() == Family::ipv6 &&
        dhcp.ipv6 == AdvertisementMode::managed && network.length() <= longest_pool_prefix) {
        pools.push_back(
            {with_low_bits(network, 0x1000), with_low_bits(network, 0x1fff), std::nullopt});
    }
    return pools;
}

} // namespace

std::vector<LanSubnet> lan_subnets(const Config& config, const Facts& facts) {
    std::vector<LanSubnet> subnets;
    for (const std::string& name : config.lan.interfaces) {
        const Interface* interface = facts.interface(name);
        for (const Family family : families) {
            for (const auto& own : interface != nullptr ? global_addresses(*interface, family)
                                                        : std::vector<InterfaceAddress>{}) {
                const auto same = [&](const LanSubnet& other) {
                    return other.interface == name && other.network == own.subnet();
                };
                if (std::ranges::none_of(subnets, same)) {
                    subnets.push_back({name, own.address, own.subnet()});
                }
            }
        }
    }
    return subnets;
}

const LanSubnet* subnet_of(const DhcpRangeConfig& range, const std::vector<LanSubnet>& subnets) {
    const auto has = [&](const LanSubnet& subnet) {
        return (!range.interface || *range.interface == subnet.interface) && range.first &&
               subnet.network.contains(*range.first);
    };
    const auto found = std::ranges::find_if(subnets, has);
    return found == subnets.end() ? nullptr : &*found;
}

std::vector<DhcpSubnet> dhcp_subnets(const Config& config, const Facts& facts) {
    const auto subnets = lan_subnets(config, facts);
    std::vector<DhcpSubnet> served;
    for (const LanSubnet& subnet : subnets) {
        auto pools = pools_of(*config.dhcp, subnet, subnets);
        if (pools.empty()) {
            continue;
        }
        auto& entry = served.emplace_back(DhcpSubnet{subnet, std::move(pools), {}});
        for (const DhcpHostConfig& host : config.dhcp->hosts) {
            if (host.address && subnet.network.contains(*host.address)) {
                entry.hosts.push_back(host);
            }
        }
    }
    return served;
}

std::string mac_text(const MacAddress& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

} // namespace linkbal
