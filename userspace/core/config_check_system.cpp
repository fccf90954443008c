// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <bit>
#include <optional>

#include "core/config_check.h"
#include "core/config_check_firewall.h"
#include "core/config_check_health.h"
#include "core/config_findings.h"

namespace linkbal {

namespace {

// A network of the LAN and the value in the file that it comes from.
struct LanNetwork {
    Prefix network;
    std::string path;
    std::string_view key;
};

// --- interfaces -------------------------------------------------------------------------------

std::string known_interfaces(const Facts& facts) {
    std::vector<std::string_view> names;
    for (const Interface& interface : facts.interfaces) {
        if (interface.name != "lo") {
            names.push_back(interface.name);
        }
    }
    return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

void check_interface(const std::string& name, const Facts& facts, const std::string& path,
                     std::string_view key, Findings& findings) {
    if (facts.interface(name) == nullptr) {
        findings.report(path, "{}: expected an interface of this machine ({}), found {:?}", key,
                        known_interfaces(facts), name);
    }
}

void check_interfaces(const Config& config, const Facts& facts, Findings& findings) {
    for (size_t i = 0; i < config.lan.interfaces.size(); ++i) {
        check_interface(config.lan.interfaces[i], facts, fmt::format("lan.interfaces[{}]", i),
                        "interfaces", findings);
    }
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        check_interface(config.uplinks[i].interface, facts, uplink_path(i, "interface"),
                        "interface", findings);
    }
}

// --- networks ---------------------------------------------------------------------------------

// Of all scopes but link: fe80::/64 is on every device and belongs to none of them.
std::vector<Prefix> subnets(const Interface& interface) {
    std::vector<Prefix> networks;
    for (const InterfaceAddress& address : interface.addresses) {
        if (!address.link_scope) {
            networks.push_back(address.subnet());
        }
    }
    return networks;
}

std::vector<LanNetwork> networks_from_file(const Config& config) {
    std::vector<LanNetwork> networks;
    for (size_t i = 0; i < config.lan.networks.size(); ++i) {
        networks.push_back(
            {config.lan.networks[i], fmt::format("lan.networks[{}]", i), "networks"});
    }
    return networks;
}

std::vector<LanNetwork> networks_from_interfaces(const Config& config, const Facts& facts,
                                                 Findings& findings) {
    std::vector<LanNetwork> networks;
    for (size_t i = 0; i < config.lan.interfaces.size(); ++i) {
        const auto path = fmt::format("lan.interfaces[{}]", i);
        const Interface* interface = facts.interface(config.lan.interfaces[i]);
        const auto own = interface != nullptr ? subnets(*interface) : std::vector<Prefix>{};
        if (interface != nullptr && own.empty()) {
            findings.report(
                path,
                "interfaces: expected an interface with an address, because no networks "
                "are given, found {} without one",
                interface->name);
        }
        for (const Prefix& network : own) {
            networks.push_back({network, path, "interfaces"});
        }
    }
    return networks;
}

void check_apart(const LanNetwork& lan, const UplinkConfig& uplink, const Interface& interface,
                 Findings& findings) {
    for (const Prefix& subnet : subnets(interface)) {
        if (subnet.overlaps(lan.network)) {
            findings.report(
                lan.path,
                "{}: expected a LAN apart from the uplinks, found {}, which overlaps with "
                "{} of uplink {} ({})",
                lan.key, lan.network.str(), subnet.str(), uplink.name, interface.name);
        }
    }
}

void check_networks(const Config& config, const Facts& facts, Findings& findings) {
    const auto networks = config.lan.networks.empty()
                              ? networks_from_interfaces(config, facts, findings)
                              : networks_from_file(config);
    for (const LanNetwork& lan : networks) {
        check_targets_outside(config, std::span(&lan.network, 1), findings);
        for (const UplinkConfig& uplink : config.uplinks) {
            if (const Interface* interface = facts.interface(uplink.interface)) {
                check_apart(lan, uplink, *interface, findings);
            }
        }
    }
}

// --- gateways ---------------------------------------------------------------------------------

// What the kernel can reach through the interface without a router: its subnets and the routes to
// the device alone, such as those that router advertisements and DHCP bring for /128 and /32.
std::vector<Prefix> reachable(const Interface& interface, Family family, const Facts& facts) {
    std::vector<Prefix> networks;
    for (const InterfaceAddress& address : interface.addresses) {
        networks.push_back(address.subnet());
    }
    for (const Route& route : facts.foreign_routes) {
        if (route.table == main_table && !route.destination.is_default() &&
            route.hops.size() == 1 && route.hops[0].device == interface.name &&
            !route.hops[0].gateway) {
            networks.push_back(route.destination);
        }
    }
    std::erase_if(networks, [&](const Prefix& network) { return network.family() != family; });
    std::ranges::sort(networks);
    const auto rest = std::ranges::unique(networks);
    networks.erase(rest.begin(), rest.end());
    return networks;
}

std::string describe_reach(const Interface& interface, Family family,
                           const std::vector<Prefix>& networks) {
    if (networks.empty()) {
        return fmt::format("a subnet of {} (which has no {} address)", interface.name,
                           family_name(family));
    }
    std::vector<std::string> names;
    std::ranges::transform(networks, std::back_inserter(names), &Prefix::str);
    return fmt::format("a subnet of {} ({})", interface.name, fmt::join(names, ", "));
}

// Whether the link can be what the gateway says; if not, that is reported.
bool check_gateway(const IpAddress& gateway, const Interface& interface, const Facts& facts,
                   const std::string& path, std::string_view key, Findings& findings) {
    if (const Interface* owner = owner_of(gateway, facts)) {
        findings.report(path, "{}: expected the address of a router, found {}, which {} itself has",
                        key, gateway.str(), owner->name);
        return false;
    }
    const bool on_every_link = gateway.family() == Family::ipv6 && gateway.is_link_local();
    if (interface.point_to_point || on_every_link) {
        return true;
    }
    const auto networks = reachable(interface, gateway.family(), facts);
    if (std::ranges::any_of(networks, [&](const Prefix& n) { return n.contains(gateway); })) {
        return true;
    }
    findings.report(path, "{}: expected an address in {}, found {}", key,
                    describe_reach(interface, gateway.family(), networks), gateway.str());
    return false;
}

bool check_written_gateways(const UplinkConfig& uplink, size_t index, const Interface& interface,
                            const Facts& facts, Findings& findings) {
    bool good = true;
    if (uplink.gateway) {
        good &= check_gateway(*uplink.gateway, interface, facts, uplink_path(index, "gateway"),
                              "gateway", findings);
    }
    if (uplink.gateway6) {
        good &= check_gateway(*uplink.gateway6, interface, facts, uplink_path(index, "gateway6"),
                              "gateway6", findings);
    }
    return good;
}

// A family is carried with an address and a gateway: a written one, or none on a point-to-point
// link, or that of the main table's default route, which is followed.
bool carries(const UplinkConfig& uplink, const Interface& interface, const Facts& facts,
             Family family) {
    const auto networks = subnets(interface);
    if (std::ranges::find(networks, family, &Prefix::family) == networks.end()) {
        return false;
    }
    const auto& gateway = family == Family::ipv4 ? uplink.gateway : uplink.gateway6;
    return gateway || interface.point_to_point ||
           has_default_through(facts, family, interface.name);
}

void check_way_out(const UplinkConfig& uplink, size_t index, const Interface& interface,
                   const Facts& facts, Findings& findings) {
    if (subnets(interface).empty()) {
        findings.report(uplink_path(index, "interface"),
                        "interface: expected one with an address, found {} without",
                        interface.name);
        return;
    }
    const bool good = check_written_gateways(uplink, index, interface, facts, findings);
    if (good && !carries(uplink, interface, facts, Family::ipv4) &&
        !carries(uplink, interface, facts, Family::ipv6)) {
        findings.report(
            uplink_path(index),
            "gateway is missing: expected one of the family that {0} has an address of, "
            "or a default route through {0} to follow, found neither",
            interface.name);
    }
}

void check_gateways(const Config& config, const Facts& facts, Findings& findings) {
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        // An interface that is switched off has lost its IPv6 addresses: there is nothing to judge,
        // and the other links must come up without it.
        const Interface* interface = facts.interface(config.uplinks[i].interface);
        if (interface != nullptr && interface->up) {
            check_way_out(config.uplinks[i], i, *interface, facts, findings);
        }
    }
}

// --- routing tables ---------------------------------------------------------------------------

// Who uses the table, in words, if somebody does.
std::optional<std::string> foreign_use(uint32_t table, const Facts& facts) {
    const auto route = std::ranges::find(facts.foreign_routes, table, &Route::table);
    if (route != facts.foreign_routes.end()) {
        return fmt::format("has a route to {}", route->destination.str());
    }
    const auto rule = std::ranges::find(facts.foreign_rules, table, &Rule::table);
    if (rule != facts.foreign_rules.end()) {
        return fmt::format("is looked up by rule {}", rule->priority);
    }
    return std::nullopt;
}

// `section` is "uplink[1]" or "balance".
void check_table(std::optional<uint32_t> table, const std::string& name, const std::string& section,
                 std::string_view name_key, const Facts& facts, Findings& findings) {
    for (const TableName& other : facts.foreign_table_names) {
        if (other.name == name && other.table != table) {
            findings.report(fmt::format("{}.{}", section, name_key),
                            "{}: expected a name that no other table has, found {}, which names "
                            "table {} in /etc/iproute2",
                            name_key, name, other.table);
        } else if (other.table == table && other.name != name) {
            findings.report(section + ".table",
                            "table: expected a number without a name, found {}, which is {} in "
                            "/etc/iproute2",
                            other.table, other.name);
        }
    }
    if (const auto use = table ? foreign_use(*table, facts) : std::nullopt) {
        findings.report(section + ".table",
                        "table: expected an unused table, found {}, which {} that is not "
                        "linkbal's",
                        *table, *use);
    }
}

void check_tables(const Config& config, const Facts& facts, Findings& findings) {
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        const UplinkConfig& uplink = config.uplinks[i];
        check_table(uplink.table, uplink.name, uplink_path(i), "name", facts, findings);
    }
    check_table(config.balance.table, config.balance.table_name, "balance", "table_name", facts,
                findings);
}

// --- rules ------------------------------------------------------------------------------------

// A run of as many bits as `mask` has that shares none with `used`, the highest such run.
std::optional<uint32_t> free_run(uint32_t mask, uint32_t used) {
    const int width = std::popcount(mask);
    for (int shift = 32 - width; shift >= 0; --shift) {
        const auto run = static_cast<uint32_t>(((uint64_t{1} << width) - 1) << shift);
        if ((run & used) == 0) {
            return run;
        }
    }
    return std::nullopt;
}

// A rule for "not mark N" that comes after ours, as WireGuard's wg-quick makes them, can live beside
// our marks: what carries one has been routed before, and N has none of our bits.
bool tolerates_marks(const Rule& rule, const Config& config) {
    return rule.inverted && (rule.mark & config.balance.mark_mask) == 0 &&
           rule.priority >= config.balance.rule_priority + rule_priorities;
}

void check_mark_mask(const Config& config, const Facts& facts, Findings& findings) {
    const uint32_t mask = config.balance.mark_mask;
    uint32_t used = 0;
    for (const Rule& rule : facts.foreign_rules) {
        used |= tolerates_marks(rule, config) ? rule.mark : rule.mark_mask;
    }
    const auto shares = [&](const Rule& rule) {
        return (rule.mark_mask & mask) != 0 && !tolerates_marks(rule, config);
    };
    const auto rule = std::ranges::find_if(facts.foreign_rules, shares);
    if (rule != facts.foreign_rules.end()) {
        const auto free = free_run(mask, used);
        findings.report(
            "balance.mark_mask",
            "mark_mask: expected bits that no rule uses{}, found {:#010x}, and rule {} has "
            "fwmark {:#x}/{:#x}",
            free ? fmt::format(" (such as {:#010x})", *free) : "", mask, rule->priority, rule->mark,
            rule->mark_mask);
    }
}

void check_priorities(const Config& config, const Facts& facts, Findings& findings) {
    const uint32_t first = config.balance.rule_priority;
    const auto taken = [&](const Rule& rule) {
        return rule.priority >= first && rule.priority - first < rule_priorities;
    };
    const auto rule = std::ranges::find_if(facts.foreign_rules, taken);
    if (rule != facts.foreign_rules.end()) {
        findings.report(
            "balance.rule_priority",
            "rule_priority: expected {} priorities that no rule has, found {}, and rule {} "
            "is not linkbal's",
            rule_priorities, first, rule->priority);
    }
}

} // namespace

std::vector<ConfigError> check_system(const Config& config, const Facts& facts,
                                      std::string_view file, bool watched) {
    Findings findings(config, file);
    if (!watched) {
        check_interfaces(config, facts, findings);
        check_gateways(config, facts, findings);
        check_firewall_here(config, facts, findings);
    }
    if (!watched || !config.lan.networks.empty()) {
        check_networks(config, facts, findings);
    }
    check_tables(config, facts, findings);
    check_mark_mask(config, facts, findings);
    check_priorities(config, facts, findings);
    return std::move(findings).take();
}

} // namespace linkbal
