// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/desired_routing.h"

#include <algorithm>

#include "core/desired.h"
#include "util/sorted_and_unique.h"

namespace linkbal {

namespace {

// The kernel's default metric of IPv6 routes (IP6_RT_PRIO_USER); 0 is not a metric there.
constexpr uint32_t ipv6_default_metric = 1024;
// A multipath weight travels as one byte, weight - 1.
constexpr uint32_t largest_hop_weight = 256;

uint32_t plain_metric(Family family) { return family == Family::ipv4 ? 0 : ipv6_default_metric; }

NextHop hop_of(const Uplink& uplink, Family family, uint32_t weight) {
    return {.gateway = uplink.path(family)->gateway, .device = uplink.device, .weight = weight};
}

Route default_route(uint32_t table, Family family, std::vector<NextHop> hops, uint32_t metric) {
    std::ranges::sort(hops, {}, &NextHop::device);
    return {.table = table,
            .destination = Prefix::any(family),
            .hops = std::move(hops),
            .preferred_source = std::nullopt,
            .metric = metric};
}

void add_link_table(std::vector<Route>& routes, const Uplink& uplink, Family family) {
    const auto& path = uplink.path(family);
    if (!path) {
        return;
    }
    for (const InterfaceAddress& address : path->addresses) {
        Route subnet{.table = uplink.table,
                     .destination = address.subnet(),
                     .hops = {{.gateway = std::nullopt, .device = uplink.device, .weight = 1}},
                     .preferred_source = std::nullopt,
                     .metric = plain_metric(family)};
        if (family == Family::ipv4) {
            // IPv6 chooses by RFC 6724, and the kernel refuses a source that is still tentative.
            subnet.preferred_source = address.address;
        }
        const bool known = std::ranges::any_of(routes, [&](const Route& other) {
            return other.table == subnet.table && other.destination == subnet.destination;
        });
        if (!known) { // a second address in the same subnet
            routes.push_back(subnet);
        }
    }
    routes.push_back(
        default_route(uplink.table, family, {hop_of(uplink, family, 1)}, plain_metric(family)));
}

// Weights run to 1000, a hop's to 256: scaled down together where one is too large.
uint32_t hop_weight(uint32_t weight, uint32_t largest) {
    if (largest <= largest_hop_weight) {
        return weight;
    }
    return std::max(1U, (weight * largest_hop_weight + largest / 2) / largest);
}

// The kernel takes IPv6 multipath routes of hops with a gateway only ("Device only routes can not be
// added for IPv6 using the multipath API"). Where some hop has none the fallback has to do without:
// of those with a gateway, or of the heaviest alone. Picks do not depend on it.
std::vector<const Uplink*> fallback_uplinks(const std::vector<Uplink>& uplinks, Family family) {
    auto balanced = balanced_uplinks(uplinks, family);
    const auto without_gateway = [&](const Uplink* uplink) {
        return !uplink->path(family)->gateway;
    };
    if (family == Family::ipv4 || std::ranges::none_of(balanced, without_gateway)) {
        return balanced; // also where there are none
    }
    const auto heaviest = std::ranges::max_element(balanced, {}, &Uplink::weight);
    const std::vector alone{*heaviest};
    std::erase_if(balanced, without_gateway);
    return balanced.empty() ? alone : balanced;
}

void add_balancing_table(std::vector<Route>& routes, const ResolvedTables& resolved,
                         Family family) {
    if (!resolved.families.at(static_cast<size_t>(family))) {
        return;
    }
    const auto uplinks = fallback_uplinks(resolved.uplinks, family);
    if (uplinks.empty()) { // clients learn it at once, and nothing slips out by others' routes
        routes.push_back(default_route(resolved.balance_table, family, {}, plain_metric(family)));
        return;
    }
    const uint32_t largest = (*std::ranges::max_element(uplinks, {}, &Uplink::weight))->weight;
    std::vector<NextHop> hops;
    for (const Uplink* uplink : uplinks) {
        const uint32_t weight = uplinks.size() == 1 ? 1 : hop_weight(uplink->weight, largest);
        hops.push_back(hop_of(*uplink, family, weight));
    }
    routes.push_back(default_route(resolved.balance_table, family, hops, plain_metric(family)));
}

bool is_foreign_default(const Route& route, Family family) {
    return route.table == main_table && route.destination == Prefix::any(family);
}

// Our default route must be preferred to those that are there, by a metric one less than the lowest.
// IPv4 takes 0 only where somebody else has it (the newest of equals is first): DHCP clients add their
// default without a metric, and the kernel refuses that where any route has 0 already. IPv6: none
// where the lowest is 1 already, because equals would become one multipath route.
std::optional<uint32_t> preferred_metric(const Facts& facts, Family family) {
    constexpr uint32_t ipv4_alone = 1;
    uint32_t metric = family == Family::ipv4 ? ipv4_alone : ipv6_default_metric;
    for (const Route& route : facts.foreign_routes) {
        if (is_foreign_default(route, family)) {
            metric = std::min(metric, std::max(route.metric, 1U) - 1);
        }
    }
    return metric > 0 || family == Family::ipv4 ? std::optional(metric) : std::nullopt;
}

// A route like the preferred one that somebody else put into main: nothing to add then. The kernel
// would refuse a second one that differs in the protocol only.
bool has_default_already(const Facts& facts, const Route& wanted) {
    return std::ranges::any_of(facts.foreign_routes, [&](const Route& route) {
        return is_foreign_default(route, wanted.destination.family()) &&
               route.hops == wanted.hops && route.metric <= wanted.metric;
    });
}

void add_preferred_default(std::vector<Route>& routes, const Config& config, const Facts& facts,
                           const ResolvedTables& resolved, Family family) {
    const auto candidates = balanced_uplinks(resolved.uplinks, family);
    if (candidates.empty()) {
        return;
    }
    const Uplink* preferred = candidates.front();
    for (const Uplink& uplink : resolved.uplinks) {
        if (uplink.name == config.balance.default_uplink && !uplink.retired && !uplink.drained &&
            uplink.carries.at(static_cast<size_t>(family))) {
            preferred = &uplink;
        }
    }
    const auto metric = preferred_metric(facts, family);
    if (!metric) {
        return;
    }
    const Route route = default_route(main_table, family, {hop_of(*preferred, family, 1)}, *metric);
    if (!has_default_already(facts, route)) {
        routes.push_back(route);
    }
}

Rule rule(Family family, uint32_t priority, uint32_t table) {
    Rule made;
    made.family = family;
    made.priority = priority;
    made.table = table;
    return made;
}

void add_uplink_rules(std::vector<Rule>& rules, const Config& config, const Uplink& uplink,
                      Family family) {
    const uint32_t base = config.balance.rule_priority;
    Rule marked = rule(family, base + 1, uplink.table);
    marked.mark = uplink_mark(uplink.id, config.balance.mark_mask);
    marked.mark_mask = config.balance.mark_mask;
    rules.push_back(marked);
    if (uplink.retired) {
        return; // open connections carry the mark, and nothing new may come
    }
    for (const InterfaceAddress& address : uplink.path(family)->addresses) {
        Rule from = rule(family, base + 2, uplink.table);
        from.source = Prefix(address.address, address.address.bits());
        rules.push_back(from);
    }
    Rule bound = rule(family, base + 2, uplink.table);
    bound.output_interface = uplink.device;
    rules.push_back(bound);
}

} // namespace

std::vector<const Uplink*> balanced_uplinks(const std::vector<Uplink>& uplinks, Family family) {
    std::vector<const Uplink*> balanced;
    for (const Uplink& uplink : uplinks) {
        if (uplink.serves.at(static_cast<size_t>(family))) {
            balanced.push_back(&uplink);
        }
    }
    return balanced;
}

std::vector<Route> desired_routes(const Config& config, const Facts& facts,
                                  const ResolvedTables& resolved) {
    std::vector<Route> routes;
    for (const Family family : families) {
        for (const Uplink& uplink : resolved.uplinks) {
            add_link_table(routes, uplink, family);
        }
        add_balancing_table(routes, resolved, family);
        add_preferred_default(routes, config, facts, resolved, family);
    }
    // An address with two prefix lengths, or two uplinks of one device, ask for the same thing twice.
    return sorted_and_unique(std::move(routes));
}

std::vector<Rule> desired_rules(const Config& config, const ResolvedTables& resolved) {
    const uint32_t base = config.balance.rule_priority;
    std::vector<Rule> rules;
    for (const Family family : families) {
        if (!resolved.families.at(static_cast<size_t>(family))) {
            continue;
        }
        Rule local = rule(family, base, main_table);
        local.suppress_prefix_length = 0;
        rules.push_back(local);
        for (const Uplink& uplink : resolved.uplinks) {
            if (uplink.path(family)) {
                add_uplink_rules(rules, config, uplink, family);
            }
        }
        for (const std::string& device : config.lan.interfaces) {
            Rule fallback = rule(family, base + 3, resolved.balance_table);
            fallback.input_interface = device;
            rules.push_back(fallback);
        }
    }
    return sorted_and_unique(std::move(rules));
}

} // namespace linkbal
