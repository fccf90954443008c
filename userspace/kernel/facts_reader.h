// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "core/facts.h"
#include "kernel/netlink.h"

namespace linkbal {

struct Observation {
    Facts facts;
    std::vector<Route> our_routes; // sorted
    std::vector<Rule> our_rules;   // sorted
};

// Everything about this machine's network that decisions are made of, in one pass.
Result<Observation> observe(NetlinkSocket& route_socket, const std::string& instance);

} // namespace linkbal
