// SPDX-License-Identifier: GPL-2.0-or-later
// The state that a configuration asks for on this machine, as a pure function.
#pragma once

#include "core/conditions.h"
#include "core/config.h"
#include "core/facts.h"
#include "core/gateway_state.h"
#include "core/memory.h"
#include "core/service.h"
#include "core/uplinks.h"
#include "util/result.h"

namespace linkbal {

struct GatewayState {
    std::vector<Route> routes;   // sorted
    std::vector<Rule> rules;     // sorted
    std::vector<Sysctl> sysctls; // in the order in which they are set
    NetfilterState netfilter;
    DatapathState datapath;
    std::vector<TableName> table_names;
    bool operator==(const GatewayState&) const = default;
};

struct Desired {
    GatewayState state;
    std::vector<Uplink> uplinks;
    uint32_t balance_table = 0;
    std::array<bool, 2> families{};
    std::vector<EndedService> ended;
    bool resets = true;                       // clients of connections that are ended learn it
    std::vector<DeviceForwarding> forwarding; // of the devices that are there, sorted by name
};

// What the kernel lets us do.
struct DatapathAbilities {
    bool use_tcx = true; // else clsact
    bool conntrack_lookup = true;
    bool resets = true; // NetfilterState's
    bool conntrack_timeout = false;
};

// `current` is what the kernel's buckets are now (both empty the first time): the new ones differ
// from it in as few places as the weights allow.
Result<Desired> desired_state(const Config& config, const Facts& facts, const Memory& memory,
                              const std::array<BucketAssignment, 2>& current,
                              DatapathAbilities abilities, const Conditions& conditions = {});

// The mark that stands for an uplink id within `mask`.
uint32_t uplink_mark(uint32_t id, uint32_t mask);

// The networks whose hosts are masqueraded: [lan] networks, and for a family that it does not name the
// subnets of the LAN interfaces.
std::vector<Prefix> lan_networks(const Config& config, const Facts& facts);

} // namespace linkbal
