// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/dhcp/kea.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace linkbal {

namespace {

using Json = nlohmann::ordered_json;

Json option(std::string_view name, std::string data) {
    return {{"name", name}, {"data", std::move(data)}};
}

Json common_options(const DhcpConfig& dhcp, Family family) {
    const bool six = family == Family::ipv6;
    std::vector<std::string> servers;
    for (const IpAddress& server : of_family(dhcp.dns_servers, family)) {
        servers.push_back(server.str());
    }
    Json options = Json::array();
    if (!servers.empty()) {
        options.push_back(option(six ? "dns-servers" : "domain-name-servers",
                                 fmt::format("{}", fmt::join(servers, ", "))));
    }
    if (dhcp.domain) {
        options.push_back(option(six ? "domain-search" : "domain-name", *dhcp.domain));
    }
    return options;
}

// A pool's own router where the subnet's, that of its first pool, is another.
Json pool_entry(const DhcpPool& pool, const std::optional<IpAddress>& usual) {
    Json entry{{"pool", fmt::format("{} - {}", pool.first.str(), pool.last.str())}};
    if (pool.router && pool.router != usual) {
        entry["option-data"] = Json::array({option("routers", pool.router->str())});
    }
    return entry;
}

Json reservation(const DhcpHostConfig& host) {
    Json entry{{"hw-address", mac_text(host.mac)}};
    if (host.address->family() == Family::ipv6) {
        entry["ip-addresses"] = Json::array({host.address->str()});
    } else {
        entry["ip-address"] = host.address->str();
    }
    if (!host.name.empty()) {
        entry["hostname"] = host.name;
    }
    return entry;
}

// Leases name their subnet by its number, so this is not left to Kea.
Json subnet_entry(const DhcpSubnet& subnet, size_t number) {
    const auto& router = subnet.pools.front().router;
    Json entry{{"id", number},
               {"subnet", subnet.lan.network.str()},
               {"interface", subnet.lan.interface},
               {"pools", Json::array()}};
    for (const DhcpPool& pool : subnet.pools) {
        entry["pools"].push_back(pool_entry(pool, router));
    }
    if (router) {
        entry["option-data"] = Json::array({option("routers", router->str())});
    }
    for (const DhcpHostConfig& host : subnet.hosts) {
        entry["reservations"].push_back(reservation(host));
    }
    return entry;
}

std::vector<std::string> interfaces_of(const std::vector<DhcpSubnet>& subnets, Family family) {
    std::vector<std::string> names;
    for (const DhcpSubnet& subnet : subnets) {
        const auto& name = subnet.lan.interface;
        if (subnet.lan.network.family() == family &&
            std::ranges::find(names, name) == names.end()) {
            names.push_back(name);
        }
    }
    return names;
}

Json subnet_entries(const std::vector<DhcpSubnet>& subnets, Family family,
                    const std::string& interface, size_t& number) {
    Json entries = Json::array();
    for (const DhcpSubnet& subnet : subnets) {
        if (subnet.lan.network.family() == family && subnet.lan.interface == interface) {
            entries.push_back(subnet_entry(subnet, ++number));
        }
    }
    return entries;
}

// Of several subnets of one interface Kea knows the first alone, unless it is told that they share it.
void add_subnets(Json& settings, const std::vector<DhcpSubnet>& subnets, Family family) {
    const std::string key = family == Family::ipv6 ? "subnet6" : "subnet4";
    Json shared = Json::array();
    Json alone = Json::array();
    size_t number = 0;
    for (const std::string& interface : interfaces_of(subnets, family)) {
        Json entries = subnet_entries(subnets, family, interface, number);
        if (entries.size() > 1) {
            shared.push_back({{"name", interface}, {key, std::move(entries)}});
        } else {
            alone.push_back(std::move(entries.front()));
        }
    }
    if (!shared.empty()) {
        settings["shared-networks"] = std::move(shared);
    }
    settings[key] = std::move(alone);
}

Json common_settings(const DhcpConfig& dhcp) {
    using std::chrono::duration_cast, std::chrono::seconds;
    const auto usual = duration_cast<seconds>(dhcp.lease_time).count();
    const auto longest =
        duration_cast<seconds>(dhcp.max_lease_time.value_or(dhcp.lease_time)).count();
    return {{"lease-database", {{"type", "memfile"}}},
            {"valid-lifetime", usual},
            {"max-valid-lifetime", longest},
            {"calculate-tee-times", true},
            {"host-reservation-identifiers", Json::array({"hw-address"})}};
}

DhcpFile kea_file(const DhcpConfig& dhcp, std::string_view program, std::string_view section,
                  const Json& settings) {
    return {fmt::format("{}/{}.conf", dhcp.file.value_or("/etc/kea"), program),
            fmt::format("// {}\n{}\n", dhcp_signature, Json{{section, settings}}.dump(4)),
            {std::string(program), "-t"},
            fmt::format("{}-server", program),
            fmt::format("{}-server", program)};
}

} // namespace

DhcpFile kea4_file(const DhcpConfig& dhcp, const std::vector<DhcpSubnet>& subnets) {
    Json settings{{"interfaces-config", {{"interfaces", interfaces_of(subnets, Family::ipv4)}}},
                  {"authoritative", true}};
    settings.update(common_settings(dhcp));
    settings["option-data"] = common_options(dhcp, Family::ipv4);
    add_subnets(settings, subnets, Family::ipv4);
    return kea_file(dhcp, "kea-dhcp4", "Dhcp4", settings);
}

DhcpFile kea6_file(const Config& config, const std::vector<DhcpSubnet>& subnets) {
    const DhcpConfig& dhcp = *config.dhcp;
    Json settings{{"interfaces-config", {{"interfaces", config.lan.interfaces}}}};
    settings.update(common_settings(dhcp));
    // Kea's own, an hour, may be longer than a lease.
    settings["preferred-lifetime"] = settings["valid-lifetime"].get<int64_t>() * 5 / 8;
    settings["option-data"] = common_options(dhcp, Family::ipv6);
    add_subnets(settings, subnets, Family::ipv6);
    return kea_file(dhcp, "kea-dhcp6", "Dhcp6", settings);
}

} // namespace linkbal
