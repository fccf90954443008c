// SPDX-License-Identifier: GPL-2.0-or-later
// The routing part of the desired state: link tables, balancing table, preferred default, rules.
#pragma once

#include <vector>

#include "core/config.h"
#include "core/facts.h"
#include "core/gateway_state.h"
#include "core/uplinks.h"

namespace linkbal {

// Sorted. Per uplink and family: the subnets and a default route in its table; a weighted multipath
// default route of the uplinks in service in the balancing table, or an unreachable one; the
// preferred default in main.
std::vector<Route> desired_routes(const Config& config, const Facts& facts,
                                  const ResolvedTables& resolved);

// Sorted. In order of priority: main without its default route (local networks and VPNs always win),
// marks, the gateway's own sockets that are bound to an uplink's address or device, and per LAN device
// the balancing table. Marks before sources, because every
// forwarded packet walks the list: with 250 uplinks that is more than twice as fast.
std::vector<Rule> desired_rules(const Config& config, const ResolvedTables& resolved);

// The uplinks that new connections are spread over.
std::vector<const Uplink*> balanced_uplinks(const std::vector<Uplink>& uplinks, Family family);

} // namespace linkbal
