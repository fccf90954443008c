// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/facts_reader.h"

#include <algorithm>

#include "kernel/interfaces.h"
#include "kernel/routes.h"
#include "kernel/sysctl.h"
#include "kernel/table_names.h"

namespace linkbal {

namespace {

bool accepts_router_advertisements(const std::string& interface) {
    const auto value = read_sysctl(fmt::format("net/ipv6/conf/{}/accept_ra", interface));
    return value && *value != "0";
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
    for (Interface& interface : seen.facts.interfaces) {
        interface.accepts_router_advertisements = accepts_router_advertisements(interface.name);
    }
    std::ranges::sort(seen.our_routes);
    std::ranges::sort(seen.our_rules);
    return seen;
}

} // namespace linkbal
