// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_dhcp.h"

#include <algorithm>
#include <charconv>
#include <ranges>

#include "core/config_values.h"

namespace linkbal {

namespace {

using namespace std::chrono_literals;
using namespace std::string_view_literals;

constexpr auto shortest_lease = 2min; // dnsmasq knows no shorter one
constexpr auto longest_lease = 8760h;

constexpr std::array servers{
    std::pair{"dnsmasq"sv, DhcpServer::dnsmasq},
    std::pair{"kea"sv, DhcpServer::kea},
};
constexpr std::array advertisement_modes{
    std::pair{"slaac"sv, AdvertisementMode::slaac},
    std::pair{"stateless"sv, AdvertisementMode::stateless},
    std::pair{"managed"sv, AdvertisementMode::managed},
};

// The kind of what `make` makes of a string, which is empty where the node is none.
template <typename T, typename Make>
ValueKind<T> kind_of(const std::string& expected, Make make) {
    return {expected, [expected, make](const toml::node& node) -> Parsed<T> {
                auto value = make(plain_text(node).value_or(""));
                return value ? Parsed<T>(*std::move(value)) : mismatch(expected, node);
            }};
}

std::optional<IpAddress> parse_host_address(std::string_view text) {
    const auto address = IpAddress::parse(text);
    return address && is_unicast(*address) && !address->is_link_local() ? address : std::nullopt;
}

ValueKind<IpAddress> host_address() {
    return kind_of<IpAddress>("the address of a host", parse_host_address);
}

ValueKind<IpAddress> router_address() {
    return kind_of<IpAddress>("the IPv4 address of a router", [](std::string_view text) {
        const auto address = parse_host_address(text);
        return address && address->family() == Family::ipv4 ? address : std::nullopt;
    });
}

std::optional<MacAddress> parse_mac(std::string_view text) {
    MacAddress mac{};
    if (text.size() != (3 * mac.size()) - 1) {
        return std::nullopt;
    }
    for (size_t i = 0; i < mac.size(); ++i) {
        const char* const digits = text.data() + (3 * i);
        const auto [end, error] = std::from_chars(digits, digits + 2, mac[i], 16);
        const bool separated = i + 1 == mac.size() || digits[2] == ':';
        if (error != std::errc{} || end != digits + 2 || !separated) {
            return std::nullopt;
        }
    }
    const bool is_group = (mac[0] & 1) != 0;
    return is_group || mac == MacAddress{} ? std::nullopt : std::optional(mac);
}

ValueKind<MacAddress> mac_address() {
    return kind_of<MacAddress>(R"(the MAC address of a host as "02:00:00:00:00:10")", parse_mac);
}

// dnsmasq would take these for a lease time or an order: "90", "12h", "infinite", "ignore".
bool is_dnsmasq_word(std::string_view name) {
    const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    const auto rest = name.substr(digits);
    const bool is_unit = rest.size() == 1 && "wdhmsWDHMS"sv.find(rest) != std::string_view::npos;
    const bool is_time = digits > 0 && (rest.empty() || is_unit);
    return is_time || name == "infinite" || name == "ignore";
}

std::optional<std::string> parse_host_name(const std::string& text) {
    const bool is_label = is_domain_name(text) && text.find_first_of("._") == std::string::npos;
    return is_label && text.front() != '-' && text.back() != '-' && !is_dnsmasq_word(text)
               ? std::optional(text)
               : std::nullopt;
}

ValueKind<std::string> host_name() {
    return kind_of<std::string>(
        "a host's name without its domain: letters, digits and \"-\", and neither a time nor "
        "\"infinite\" nor \"ignore\"",
        parse_host_name);
}

std::optional<std::string> parse_domain(std::string text) {
    if (!is_domain_name(text) || text == ".") {
        return std::nullopt;
    }
    if (text.ends_with('.')) {
        text.pop_back();
    }
    return text;
}

ValueKind<std::string> local_domain() {
    return kind_of<std::string>(R"(a domain name as "example.lan")", parse_domain);
}

ValueKind<std::string> absolute_path() {
    return kind_of<std::string>(R"(an absolute path without blanks and without a "/" at its end)",
                                [](const std::string& text) {
                                    const bool good = text.starts_with('/') && !text.ends_with('/');
                                    return good ? std::optional(text) : std::nullopt;
                                });
}

void read_range(TableReader& table, DhcpRangeConfig& range) {
    table.optional("interface", range.interface, interface_name());
    table.required("first", range.first, host_address());
    table.required("last", range.last, host_address());
    table.optional("router", range.router, router_address());
    table.reject_unknown();
}

void read_host(TableReader& table, DhcpHostConfig& host) {
    table.required("mac", host.mac, mac_address());
    table.required("address", host.address, host_address());
    table.optional("name", host.name, host_name());
    table.reject_unknown();
}

void read_ipv6(TableReader& table, std::optional<AdvertisementMode>& mode) {
    table.required("mode", mode, choice<AdvertisementMode>(advertisement_modes));
    table.reject_unknown();
}

} // namespace

DhcpConfig read_dhcp(TableReader& table) {
    DhcpConfig dhcp;
    table.optional("server", dhcp.server, choice<DhcpServer>(servers));
    table.optional("lease_time", dhcp.lease_time, duration(shortest_lease, longest_lease));
    table.optional("max_lease_time", dhcp.max_lease_time, duration(shortest_lease, longest_lease));
    table.optional("domain", dhcp.domain, local_domain());
    table.list("dns_servers", dhcp.dns_servers, host_address());
    table.optional("file", dhcp.file, absolute_path());
    for (TableReader& range : table.sections("range")) {
        read_range(range, dhcp.ranges.emplace_back());
    }
    for (TableReader& host : table.sections("host")) {
        read_host(host, dhcp.hosts.emplace_back());
    }
    if (auto ipv6 = table.section("ipv6")) {
        read_ipv6(*ipv6, dhcp.ipv6);
    }
    table.reject_unknown();
    return dhcp;
}

} // namespace linkbal
