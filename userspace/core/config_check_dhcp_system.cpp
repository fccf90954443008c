// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include <fmt/ranges.h>

#include "core/config_check_dhcp.h"
#include "core/dhcp/lan.h"

namespace linkbal {

namespace {

using Subnets = std::vector<LanSubnet>;

std::vector<Prefix> networks_of(const Subnets& subnets, Family family,
                                const std::optional<std::string>& interface) {
    std::vector<Prefix> networks;
    for (const LanSubnet& subnet : subnets) {
        if (subnet.network.family() == family && (!interface || *interface == subnet.interface)) {
            networks.push_back(subnet.network);
        }
    }
    return networks;
}

// The first and the last address of an IPv4 subnet are no host's; of /31 and /32 they are.
bool is_nobodys(const IpAddress& address, const Prefix& network) {
    if (network.family() == Family::ipv6 || network.length() > 30) {
        return false;
    }
    const auto& lowest = network.address();
    auto bytes = std::array<uint8_t, 4>{};
    for (size_t i = 0; i < bytes.size(); ++i) {
        const auto before = static_cast<unsigned>(8 * i);
        const unsigned bits = std::clamp(network.length(), before, before + 8) - before;
        bytes[i] = static_cast<uint8_t>(lowest.bytes()[i] | (0xffU >> bits));
    }
    return address == lowest || address == IpAddress(bytes);
}

void check_end(const IpAddress& end, std::string_view key, size_t index, const Prefix& network,
               Findings& findings) {
    if (is_nobodys(end, network)) {
        findings.report(range_path(index, key),
                        "{}: expected the address of a host, found {}, which stands for all of {}",
                        key, end.str(), network.str());
    }
}

void check_own_addresses(const DhcpRangeConfig& range, size_t index, const Facts& facts,
                         Findings& findings) {
    for (const Interface& interface : facts.interfaces) {
        for (const InterfaceAddress& own : interface.addresses) {
            if (covers(range, own.address)) {
                findings.report(range_path(index, "first"),
                                "first: expected a range without the gateway's own address {} "
                                "({}), found {}",
                                own.address.str(), interface.name, text_of(range));
            }
        }
    }
}

void check_range(const Config& config, size_t index, const Facts& facts, const Subnets& subnets,
                 Findings& findings) {
    const DhcpRangeConfig& range = config.dhcp->ranges[index];
    const auto& interface = range.interface;
    if (interface && facts.interface(*interface) == nullptr) {
        return; // said of [lan] already
    }
    const auto networks = networks_of(subnets, range.first->family(), interface);
    const auto what = fmt::format(
        "a subnet of {}",
        interface ? *interface : fmt::format("{}", fmt::join(config.lan.interfaces, ", ")));
    if (const Prefix* network = check_range_within(range, index, networks, what, findings)) {
        check_end(*range.first, "first", index, *network, findings);
        check_end(*range.last, "last", index, *network, findings);
    }
    check_own_addresses(range, index, facts, findings);
}

// A server gives addresses away only in subnets that it has a pool in.
void check_host(const Config& config, size_t index, const Facts& facts,
                const std::vector<DhcpSubnet>& served, Findings& findings) {
    const IpAddress& address = *config.dhcp->hosts[index].address;
    std::vector<std::string> networks;
    const DhcpSubnet* home = nullptr;
    for (const DhcpSubnet& subnet : served) {
        networks.push_back(subnet.lan.network.str());
        home = subnet.lan.network.contains(address) ? &subnet : home;
    }
    const auto path = host_path(index, "address");
    if (home == nullptr) {
        findings.report(path, "address: expected one in a subnet with a range ({}), found {}",
                        networks.empty() ? "there is none"
                                         : fmt::format("{}", fmt::join(networks, ", ")),
                        address.str());
        return;
    }
    const bool is_own = std::ranges::any_of(facts.interfaces, [&](const Interface& interface) {
        return std::ranges::find(interface.addresses, address, &InterfaceAddress::address) !=
               interface.addresses.end();
    });
    if (is_own || is_nobodys(address, home->lan.network)) {
        findings.report(path, "address: expected one of a host, found {}, which is {}",
                        address.str(), is_own ? "the gateway's own" : "nobody's");
    }
}

} // namespace

void check_dhcp_system(const Config& config, const Facts& facts, Findings& findings) {
    if (!config.dhcp) {
        return;
    }
    const auto subnets = lan_subnets(config, facts);
    for (size_t i = 0; i < config.dhcp->ranges.size(); ++i) {
        check_range(config, i, facts, subnets, findings);
    }
    const auto served = dhcp_subnets(config, facts);
    for (size_t i = 0; i < config.dhcp->hosts.size(); ++i) {
        check_host(config, i, facts, served, findings);
    }
}

std::vector<ConfigError> check_dhcp_system(const Config& config, const Facts& facts,
                                           std::string_view file) {
    Findings findings(config, file);
    check_dhcp_system(config, facts, findings);
    return std::move(findings).take();
}

} // namespace linkbal
