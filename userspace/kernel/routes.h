// SPDX-License-Identifier: GPL-2.0-or-later
// Routes and rules: messages as pure functions of values, and the reader of what is there.
#pragma once

#include <vector>

#include "core/gateway_state.h"
#include "kernel/interfaces.h"
#include "kernel/netlink.h"

namespace linkbal {

enum class RouteOperation : uint8_t {
    add,     // in front of routes of the same destination and metric (IPv4), never replacing one
    replace, // the route of the same table, destination and metric, atomically
    remove,  // the route that matches in every attribute
};

// The rtnetlink message for one of our routes (protocol route_protocol). A next hop's device that
// `names` does not know is an error.
Result<NetlinkMessage> route_message(RouteOperation operation, const Route& route,
                                     const InterfaceNames& names);
// The same for one of our rules.
NetlinkMessage rule_message(bool add, const Rule& rule);

struct RoutesAndRules {
    std::vector<Route> our_routes;     // protocol route_protocol, all tables
    std::vector<Route> foreign_routes; // unicast, all tables but local
    std::vector<Rule> our_rules;
    std::vector<Rule> foreign_rules;
};
Result<RoutesAndRules> read_routes_and_rules(NetlinkSocket& route_socket,
                                             const InterfaceNames& names);

} // namespace linkbal
