// SPDX-License-Identifier: GPL-2.0-or-later
// What must be done to get from the actual to the desired state, as values: pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/attachment.h"
#include "core/desired.h"
#include "core/gateway_state.h"

namespace linkbal {

// What is in the kernel now, as far as it is ours.
struct ActualState {
    std::vector<Route> routes;   // sorted
    std::vector<Rule> rules;     // sorted
    std::vector<Sysctl> sysctls; // of the keys that the desired state names, where they exist
    enum class Netfilter : uint8_t { absent, same, different };
    Netfilter netfilter = Netfilter::absent;
    std::optional<ActualDatapath> datapath;            // empty: nothing is loaded
    std::optional<std::vector<TableName>> table_names; // empty: our file is not there
};

// Actions. Each knows what it replaces, so that it can be printed and undone.
struct SetSysctl {
    std::string key, from, to;
};
struct AddRoute {
    Route route;
};
struct ReplaceRoute {
    Route from, to;
};
struct RemoveRoute {
    Route route;
};
struct AddRule {
    Rule rule;
};
struct RemoveRule {
    Rule rule;
};
struct ReplaceNetfilter {
    NetfilterState to;
    bool existed = false;
};
// Older programs go on to run until the new ones are attached in their place.
struct LoadPrograms {
    bool replaces = false; // something is pinned already
};
struct SetBuckets {
    Family family = Family::ipv4;
    BucketAssignment from, to;
};
// Which device is what, and how it forwards.
struct SetDevices {
    struct Devices {
        std::vector<std::string> lan;
        std::vector<DatapathUplink> uplinks;
        std::vector<DatapathDevice> devices;
        bool operator==(const Devices&) const = default;
    };
    Devices from, to;
};
struct SetBypass {
    std::vector<Prefix> from, to;
};
struct Attach {
    Attachment at;
};
struct Detach {
    Attachment at;
};
// Conntrack entries of an uplink that is gone, since its id may be given to another one, or that can't
// carry a family any more.
struct ForgetConnections {
    std::string uplink;
    uint32_t id = 0;
    uint32_t mark = 0, mask = 0;
    std::optional<Family> family; // empty: both
    bool reset = false;           // the LAN's clients of TCP connections get a reset
};
// Connections that were open before the first `up` go on by the uplink whose address they use.
struct AdoptConnections {
    std::map<IpAddress, uint32_t> marks;
    uint32_t mask = 0;
};
struct SetTableNames {
    std::optional<std::vector<TableName>> from, to;
};
// These two occur in removal plans only, which are never undone.
struct UnloadPrograms {};
struct RemoveNetfilter {};

using Action =
    std::variant<SetTableNames, AddRoute, ReplaceRoute, RemoveRoute, AddRule, RemoveRule, SetSysctl,
                 ReplaceNetfilter, LoadPrograms, SetDevices, SetBypass, SetBuckets, Attach, Detach,
                 ForgetConnections, UnloadPrograms, RemoveNetfilter, AdoptConnections>;
using Plan = std::vector<Action>;

// In an order in which traffic flows at every step: new connections leave what goes, then what nobody uses
// yet is made, then the switches (nftables, rules, buckets, programs, forwarding), then what is no longer
// used. Empty: nothing to do.
Plan make_plan(const ActualState& actual, const Desired& desired, const Memory& memory);

// Everything of ours goes, and each sysctl that `memory` holds gets its former value back. Empty:
// there is nothing of ours.
Plan make_removal_plan(const ActualState& actual, const Memory& memory);

} // namespace linkbal
