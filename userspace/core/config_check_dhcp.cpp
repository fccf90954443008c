// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_check_dhcp.h"

#include <algorithm>
#include <map>
#include <span>

#include <fmt/ranges.h>

#include "core/dhcp/lan.h"

namespace linkbal {

namespace {

// Where the key belongs beside the address, that the family of `address` is given away at all.
bool is_given(const DhcpConfig& dhcp, const IpAddress& address) {
    return address.family() == Family::ipv4 || dhcp.ipv6 == AdvertisementMode::managed;
}
constexpr auto only_managed =
    R"({}: expected an IPv4 address, because only the mode "managed" of [dhcp.ipv6] gives )"
    R"(others away, found {})";

std::string list_of(const std::vector<Prefix>& networks) {
    std::vector<std::string> texts;
    for (const Prefix& network : networks) {
        texts.push_back(network.str());
    }
    return texts.empty() ? "there is none" : fmt::format("{}", fmt::join(texts, ", "));
}

// Those of [lan] in the address's family; none where these are the interfaces' subnets.
std::vector<Prefix> written_networks(const Config& config, Family family) {
    std::vector<Prefix> networks;
    std::ranges::copy_if(config.lan.networks, std::back_inserter(networks),
                         [&](const Prefix& network) { return network.family() == family; });
    return networks;
}

// --- the section ------------------------------------------------------------------------------

void check_section(const DhcpConfig& dhcp, Findings& findings) {
    if (dhcp.ranges.empty()) {
        findings.report("dhcp", "range is missing: expected one [[dhcp.range]] section or more");
    }
    if (dhcp.server == DhcpServer::kea && dhcp.dns_servers.empty()) {
        findings.report("dhcp.server", "dns_servers is missing: expected some, because Kea does "
                                       "not answer DNS queries, as dnsmasq does");
    }
    if (dhcp.max_lease_time && dhcp.lease_time > *dhcp.max_lease_time) {
        findings.report("dhcp.max_lease_time",
                        "max_lease_time: expected no less than lease_time, {} s, found {} s",
                        dhcp.lease_time.count() / 1000, dhcp.max_lease_time->count() / 1000);
    }
}

// The servers' languages can't quote all that the kernel takes for a name; dnsmasq would take "eth*"
// for every such interface, uplinks among them.
void check_interface_names(const Config& config, Findings& findings) {
    const auto foreign = [](char c) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        return !plain;
    };
    for (size_t i = 0; i < config.lan.interfaces.size(); ++i) {
        const std::string& name = config.lan.interfaces[i];
        if (std::ranges::any_of(name, foreign)) {
            findings.report(fmt::format("lan.interfaces[{}]", i),
                            R"(interfaces: expected a name of letters, digits, ".", "_" and "-", )"
                            "because [dhcp] serves it, found {:?}",
                            name);
        }
    }
}

// --- ranges -----------------------------------------------------------------------------------

void check_range_interface(const Config& config, size_t index, Findings& findings) {
    const auto& interface = config.dhcp->ranges[index].interface;
    const auto& known = config.lan.interfaces;
    if (interface && std::ranges::find(known, *interface) == known.end()) {
        findings.report(range_path(index, "interface"),
                        "interface: expected one of [lan] ({}), found {:?}", fmt::join(known, ", "),
                        *interface);
    }
}

// False: there is nothing to be said of the addresses between.
bool check_ends(const DhcpRangeConfig& range, size_t index, Findings& findings) {
    const Family family = range.first->family();
    if (range.last->family() != family) {
        findings.report(range_path(index, "last"),
                        "last: expected an {} address, like first, found {}", family_name(family),
                        range.last->str());
        return false;
    }
    if (*range.last < *range.first) {
        findings.report(range_path(index, "last"),
                        "last: expected an address not below first, {}, found {}",
                        range.first->str(), range.last->str());
        return false;
    }
    return true;
}

void check_range_family(const DhcpConfig& dhcp, size_t index, Findings& findings) {
    const DhcpRangeConfig& range = dhcp.ranges[index];
    if (!is_given(dhcp, *range.first)) {
        findings.report(range_path(index, "first"), only_managed, "first", range.first->str());
    } else if (range.router && range.first->family() == Family::ipv6) {
        findings.report(range_path(index, "router"),
                        "router: expected none beside IPv6 addresses, whose router advertises "
                        "itself, found {}",
                        range.router->str());
    }
}

void check_apart(std::span<const DhcpRangeConfig> ranges, size_t index, Findings& findings) {
    const DhcpRangeConfig& range = ranges[index];
    for (const DhcpRangeConfig& earlier : ranges.first(index)) {
        if (covers(earlier, *range.first) || covers(range, *earlier.first)) {
            findings.report(range_path(index, "first"),
                            "first: expected ranges that do not overlap, found {} beside {}",
                            text_of(range), text_of(earlier));
        }
    }
}

// No router may be given away, whichever range names it.
void check_routers(std::span<const DhcpRangeConfig> ranges, size_t index, Findings& findings) {
    const auto& router = ranges[index].router;
    for (const DhcpRangeConfig& range : ranges) {
        if (router && covers(range, *router)) {
            findings.report(range_path(index, "router"),
                            "router: expected an address that is not given away, found {}, which "
                            "is in the range {}",
                            router->str(), text_of(range));
        }
    }
}

void check_range(const Config& config, size_t index, Findings& findings) {
    const std::span ranges(config.dhcp->ranges);
    const DhcpRangeConfig& range = ranges[index];
    check_range_interface(config, index, findings);
    check_range_family(*config.dhcp, index, findings);
    if (!check_ends(range, index, findings)) {
        return;
    }
    const auto networks = written_networks(config, range.first->family());
    if (!networks.empty()) {
        check_range_within(range, index, networks, "a network of [lan]", findings);
    }
    check_apart(ranges, index, findings);
    check_routers(ranges, index, findings);
}

// --- static leases ----------------------------------------------------------------------------

// What only one static lease may have, and whose it is.
template <typename T>
void claim(std::map<T, size_t>& owners, const T& value, size_t index, std::string_view key,
           const std::string& text, Findings& findings) {
    const auto [entry, fresh] = owners.try_emplace(value, index);
    if (!fresh) {
        findings.report(host_path(index, key),
                        "{}: expected one that no other [[dhcp.host]] has, found {}, which number "
                        "{} has",
                        key, text, entry->second + 1);
    }
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

// A host may have an address of each family, under one name.
void check_twice(const DhcpConfig& dhcp, Findings& findings) {
    std::map<std::pair<Family, MacAddress>, size_t> macs;
    std::map<IpAddress, size_t> addresses;
    std::map<std::pair<Family, std::string>, size_t> names;
    for (size_t i = 0; i < dhcp.hosts.size(); ++i) {
        const DhcpHostConfig& host = dhcp.hosts[i];
        const Family family = host.address->family();
        claim(macs, {family, host.mac}, i, "mac", mac_text(host.mac), findings);
        claim(addresses, *host.address, i, "address", host.address->str(), findings);
        if (!host.name.empty()) {
            claim(names, {family, lower(host.name)}, i, "name", host.name, findings);
        }
    }
}

void check_host(const Config& config, size_t index, Findings& findings) {
    const DhcpConfig& dhcp = *config.dhcp;
    const IpAddress& address = *dhcp.hosts[index].address;
    const auto path = host_path(index, "address");
    if (!is_given(dhcp, address)) {
        findings.report(path, only_managed, "address", address.str());
        return;
    }
    const auto networks = written_networks(config, address.family());
    if (!networks.empty() &&
        std::ranges::none_of(networks, [&](const auto& one) { return one.contains(address); })) {
        findings.report(path, "address: expected one in a network of [lan] ({}), found {}",
                        list_of(networks), address.str());
    }
    if (std::ranges::find(dhcp.ranges, address, &DhcpRangeConfig::router) != dhcp.ranges.end()) {
        findings.report(path, "address: expected one of a host, found {}, which is the router's",
                        address.str());
    }
}

} // namespace

std::string range_path(size_t index, std::string_view key) {
    return fmt::format("dhcp.range[{}].{}", index, key);
}
std::string host_path(size_t index, std::string_view key) {
    return fmt::format("dhcp.host[{}].{}", index, key);
}

std::string text_of(const DhcpRangeConfig& range) {
    return fmt::format("{} - {}", range.first->str(), range.last->str());
}

bool covers(const DhcpRangeConfig& range, const IpAddress& address) {
    return *range.first <= address && address <= *range.last;
}

const Prefix* check_range_within(const DhcpRangeConfig& range, size_t index,
                                 const std::vector<Prefix>& networks, std::string_view what,
                                 Findings& findings) {
    const auto network = std::ranges::find_if(
        networks, [&](const Prefix& one) { return one.contains(*range.first); });
    if (network == networks.end()) {
        findings.report(range_path(index, "first"),
                        "first: expected an address in {} ({}), found {}", what, list_of(networks),
                        range.first->str());
        return nullptr;
    }
    if (!network->contains(*range.last)) {
        findings.report(range_path(index, "last"),
                        "last: expected an address in {}, like first, found {}", network->str(),
                        range.last->str());
    }
    if (range.router && !network->contains(*range.router)) {
        findings.report(range_path(index, "router"),
                        "router: expected an address in {}, like the range, found {}",
                        network->str(), range.router->str());
    }
    return &*network;
}

void check_dhcp(const Config& config, Findings& findings) {
    if (!config.dhcp) {
        return;
    }
    check_section(*config.dhcp, findings);
    check_interface_names(config, findings);
    for (size_t i = 0; i < config.dhcp->ranges.size(); ++i) {
        check_range(config, i, findings);
    }
    check_twice(*config.dhcp, findings);
    for (size_t i = 0; i < config.dhcp->hosts.size(); ++i) {
        check_host(config, i, findings);
    }
}

} // namespace linkbal
