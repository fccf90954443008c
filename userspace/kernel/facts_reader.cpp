// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/facts_reader.h"

#include <algorithm>

#include "kernel/datapath.h"
#include "kernel/features.h"
#include "kernel/interfaces.h"
#include "kernel/link_details.h"
#include "kernel/routes.h"
#include "kernel/sysctl.h"
#include "kernel/table_names.h"
#include "kernel/xdp_link.h"

namespace linkbal {

namespace {

bool accepts_router_advertisements(const std::string& interface) {
    const auto value = read_sysctl(fmt::format("net/ipv6/conf/{}/accept_ra", interface));
    return value && *value != "0";
}

void read_conntrack_limits(Facts& facts) {
    constexpr auto largest = "net/netfilter/nf_conntrack_max";
    if (!read_sysctl(largest)) {
        load_conntrack_module(); // else they would be others the next time
    }
    facts.conntrack_max = read_sysctl_number(largest).value_or(facts.conntrack_max);
    facts.tcp_timeout = read_sysctl_number("net/netfilter/nf_conntrack_tcp_timeout_established")
                            .value_or(facts.tcp_timeout);
}

Status find_own_xdp(const std::string& instance, std::vector<Interface>& interfaces) {
    const Datapath datapath(instance);
    for (Interface& interface : interfaces) {
        if (!interface.xdp.attached) {
            continue;
        }
        const auto ours = own_xdp_program(datapath.directory(), interface.name, interface.index);
        if (!ours) {
            return tl::unexpected(ours.error());
        }
        interface.xdp.ours = *ours;
    }
    return {};
}

} // namespace

Result<Observation> observe(NetlinkSocket& route_socket, const std::string& instance) {
    auto interfaces = read_interfaces(route_socket);
    if (!interfaces) {
        return tl::unexpected(interfaces.error());
    }
    auto routing = read_routes_and_rules(route_socket, InterfaceNames(*interfaces));
    if (!routing) {
        return tl::unexpected(routing.error());
    }
    Observation seen{.facts = {.interfaces = *std::move(interfaces),
                               .foreign_routes = std::move(routing->foreign_routes),
                               .foreign_rules = std::move(routing->foreign_rules),
                               .foreign_table_names = read_foreign_table_names(instance)},
                     .our_routes = std::move(routing->our_routes),
                     .our_rules = std::move(routing->our_rules)};
    if (const auto detailed = read_link_details(route_socket, seen.facts.interfaces); !detailed) {
        return tl::unexpected(detailed.error());
    }
    if (const auto marked = find_own_xdp(instance, seen.facts.interfaces); !marked) {
        return tl::unexpected(marked.error());
    }
    read_conntrack_limits(seen.facts);
    for (Interface& interface : seen.facts.interfaces) {
        interface.accepts_router_advertisements = accepts_router_advertisements(interface.name);
    }
    std::ranges::sort(seen.our_routes);
    std::ranges::sort(seen.our_rules);
    return seen;
}

} // namespace linkbal
