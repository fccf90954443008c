// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/plan.h"

#include <algorithm>
#include <bitset>
#include <functional>
#include <iterator>

#include "core/confirmation.h"
#include "linkbal/abi.h"

namespace linkbal {

namespace {

template <typename T>
std::vector<T> only_in_first(const std::vector<T>& first, const std::vector<T>& second) {
    std::vector<T> difference;
    std::ranges::set_difference(first, second, std::back_inserter(difference));
    return difference;
}

struct RouteChanges {
    std::vector<Route> added, removed;
    std::vector<ReplaceRoute> replaced;
};

bool same_slot(const Route& a, const Route& b) {
    return a.table == b.table && a.destination == b.destination && a.metric == b.metric;
}

// A route of the same table, destination and metric is replaced in one step. Not in main: the kernel
// replaces the first of the slot there, which may be somebody else's.
RouteChanges compare_routes(const std::vector<Route>& actual, const std::vector<Route>& desired) {
    RouteChanges changes;
    changes.removed = only_in_first(actual, desired);
    std::vector<Route> missing = only_in_first(desired, actual);
    // The kernel looks a gateway up in the route's own table first: subnets before defaults.
    std::ranges::stable_partition(
        missing, [](const Route& route) { return !route.destination.is_default(); });
    for (const Route& wanted : missing) {
        const auto old = std::ranges::find_if(
            changes.removed, [&](const Route& route) { return same_slot(route, wanted); });
        if (old == changes.removed.end() || wanted.table == main_table) {
            changes.added.push_back(wanted);
            continue;
        }
        changes.replaced.push_back({*old, wanted});
        changes.removed.erase(old);
    }
    return changes;
}

template <typename ActionType, typename T>
void append(Plan& plan, const std::vector<T>& items) {
    for (const T& item : items) {
        plan.emplace_back(ActionType{item});
    }
}

// Programs know these at load.
bool same_settings(const DatapathState& a, const DatapathState& b) {
    return a.mark_mask == b.mark_mask && a.hash == b.hash &&
           a.conntrack_lookup == b.conntrack_lookup && a.conntrack_timeout == b.conntrack_timeout &&
           a.fast_path == b.fast_path && a.flow_buckets == b.flow_buckets &&
           a.tcp_timeout == b.tcp_timeout;
}

bool runs_wanted_programs(const std::optional<ActualDatapath>& actual,
                          const DatapathState& desired) {
    return actual && actual->current && same_settings(actual->state, desired);
}

void plan_datapath(Plan& plan, const std::optional<ActualDatapath>& actual,
                   const DatapathState& desired) {
    const ActualDatapath nothing{};
    const ActualDatapath& now = actual ? *actual : nothing;
    if (!runs_wanted_programs(actual, desired)) {
        plan.emplace_back(LoadPrograms{actual.has_value()});
    }
    const SetDevices::Devices from{now.state.lan_devices, now.state.uplinks, now.state.devices};
    const SetDevices::Devices to{desired.lan_devices, desired.uplinks, desired.devices};
    if (from != to) {
        plan.emplace_back(SetDevices{from, to});
    }
    if (now.state.bypass != desired.bypass) {
        plan.emplace_back(SetBypass{now.state.bypass, desired.bypass});
    }
}

std::bitset<LB_UPLINK_IDS> owners(const BucketAssignment& buckets) {
    std::bitset<LB_UPLINK_IDS> ids;
    for (const uint16_t id : buckets) {
        ids.set(id);
    }
    return ids;
}

// Some uplinks get no new connections any more, and none begins to.
bool only_loses_uplinks(const BucketAssignment& from, const BucketAssignment& to) {
    const auto before = owners(from);
    const auto after = owners(to);
    return after != before && (after & ~before).none();
}

enum class BucketSwitch : uint8_t { early, late };

// Early are those that only lose uplinks: a new connection must not be sent to one of which nftables or
// the routes have heard no more. The others wait until routes and rules are there.
void plan_buckets(Plan& plan, const std::optional<ActualDatapath>& actual,
                  const DatapathState& desired, BucketSwitch when) {
    const BucketAssignment none;
    for (const Family family : families) {
        const auto index = static_cast<size_t>(family);
        const auto& from = actual ? actual->state.buckets[index] : none;
        const auto& to = desired.buckets[index];
        if (from == to) {
            continue;
        }
        const bool early = actual && actual->current && only_loses_uplinks(from, to);
        if (early == (when == BucketSwitch::early)) {
            plan.emplace_back(SetBuckets{family, from, to});
        }
    }
}

bool has_place(const std::vector<Attachment>& all, const Attachment& at) {
    return std::ranges::any_of(all, [&](const Attachment& one) { return same_place(one, at); });
}

// New programs take over from older ones device by device, each without a gap. A device that changes
// sides goes uncounted for a moment.
void plan_attachments(Plan& plan, const std::optional<ActualDatapath>& actual,
                      const DatapathState& desired) {
    const auto attached = actual ? actual->attachments : std::vector<Attachment>{};
    const bool wanted_programs = runs_wanted_programs(actual, desired);
    for (const Attachment& at : wanted_attachments(desired)) {
        const bool there = std::ranges::binary_search(attached, at);
        for (const Attachment& old : attached) {
            if (!there && same_place(old, at) && !same_side(old.role, at.role)) {
                plan.emplace_back(Detach{old});
            }
        }
        if (!there || !wanted_programs) {
            plan.emplace_back(Attach{at});
        }
    }
}

// What runs and what is only left over alike. A place that is wanted is taken over by attaching to
// it, whatever was there.
void plan_detachments(Plan& plan, const std::optional<ActualDatapath>& actual,
                      const DatapathState& desired) {
    const auto wanted = wanted_attachments(desired);
    const ActualDatapath nothing{};
    const ActualDatapath& now = actual ? *actual : nothing;
    for (const auto* list : {&now.attachments, &now.outdated}) {
        for (const Attachment& at : *list) {
            if (!has_place(wanted, at)) {
                plan.emplace_back(Detach{at});
            }
        }
    }
}

// Setting one of these changes the same parameter of every interface.
bool is_forwarding(const std::string& key) {
    return key == "net/ipv4/ip_forward" || key == "net/ipv6/conf/all/forwarding";
}

// The first time only: later every connection has been pinned by nftables.
void plan_adoption(Plan& plan, const Desired& desired) {
    AdoptConnections adopt{.marks = {}, .mask = desired.state.datapath.mark_mask};
    for (const Uplink& uplink : desired.uplinks) {
        for (const Family family : families) {
            for (const InterfaceAddress& own : uplink.path(family)
                                                   ? uplink.path(family)->addresses
                                                   : std::vector<InterfaceAddress>{}) {
                adopt.marks.emplace(own.address, uplink_mark(uplink.id, adopt.mask));
            }
        }
    }
    plan.emplace_back(adopt);
}

void plan_sysctls(Plan& plan, const ActualState& actual, const std::vector<Sysctl>& desired,
                  bool forwarding) {
    for (const Sysctl& wanted : desired) {
        const auto now = std::ranges::find(actual.sysctls, wanted.key, &Sysctl::key);
        if (is_forwarding(wanted.key) == forwarding && now != actual.sysctls.end() &&
            now->value != wanted.value) {
            plan.emplace_back(SetSysctl{wanted.key, now->value, wanted.value});
        }
    }
}

// What is neither configured nor kept as retired: its device is gone, or its table leads elsewhere.
void plan_forgetting(Plan& plan, const Desired& desired, const Memory& memory) {
    const uint32_t mask = desired.state.datapath.mark_mask;
    for (const RememberedUplink& known : memory.uplinks) {
        const bool stays = std::ranges::any_of(desired.uplinks, [&](const Uplink& uplink) {
            return uplink.id == known.id && uplink.name == known.name;
        });
        if (!stays) {
            plan.emplace_back(ForgetConnections{.uplink = known.name,
                                                .id = known.id,
                                                .mark = uplink_mark(known.id, mask),
                                                .mask = mask,
                                                .family = std::nullopt,
                                                .reset = desired.resets});
        }
    }
    for (const EndedService& ended : desired.ended) {
        plan.emplace_back(ForgetConnections{.uplink = ended.uplink,
                                            .id = ended.id,
                                            .mark = uplink_mark(ended.id, mask),
                                            .mask = mask,
                                            .family = ended.family,
                                            .reset = desired.resets});
    }
}

// What is local must be found in main as long as a rule leads elsewhere: the first rule goes last.
void remove_rules(Plan& plan, std::vector<Rule> rules) {
    std::ranges::reverse(rules);
    append<RemoveRule>(plan, rules);
}

void plan_restoration(Plan& plan, const ActualState& actual, const Memory& memory,
                      bool forwarding) {
    for (const auto& [key, value] : memory.sysctls) {
        const auto now = std::ranges::find(actual.sysctls, key, &Sysctl::key);
        if (is_forwarding(key) == forwarding && now != actual.sysctls.end()) {
            plan.emplace_back(SetSysctl{key, now->value, value});
        }
    }
}

// What an unconfirmed change has changed, and what was before does not ask for.
void plan_return(Plan& plan, const ActualState& actual, const std::vector<Sysctl>& desired,
                 const Memory& memory) {
    Memory changed;
    for (const std::string& key : sysctls_to_return(memory)) {
        if (std::ranges::find(desired, key, &Sysctl::key) == desired.end()) {
            changed.sysctls.emplace(key, memory.sysctls.at(key));
        }
    }
    plan_restoration(plan, actual, changed, true);
    plan_restoration(plan, actual, changed, false);
}

} // namespace

Plan make_plan(const ActualState& actual, const Desired& desired, const Memory& memory) {
    const GatewayState& state = desired.state;
    RouteChanges routes = compare_routes(actual.routes, state.routes);

    Plan plan;
    if (actual.table_names != state.table_names) {
        plan.emplace_back(SetTableNames{actual.table_names, state.table_names});
    }
    plan_buckets(plan, actual.datapath, state.datapath, BucketSwitch::early);
    const auto in_main = [](const Route& route) { return route.table == main_table; };
    const auto main_routes = std::ranges::stable_partition(routes.added, std::not_fn(in_main));
    append<AddRoute>(plan, std::vector(routes.added.begin(), main_routes.begin()));
    if (actual.netfilter != ActualState::Netfilter::same) {
        plan.emplace_back(ReplaceNetfilter{state.netfilter,
                                           actual.netfilter == ActualState::Netfilter::different});
    }
    plan_datapath(plan, actual.datapath, state.datapath);
    // A gateway that forwards already needs loose reverse path filters before the first rule.
    plan_sysctls(plan, actual, state.sysctls, false);
    std::ranges::copy(routes.replaced, std::back_inserter(plan));
    if (!actual.datapath) {
        plan_adoption(plan, desired);
    }
    append<AddRule>(plan, only_in_first(state.rules, actual.rules));
    // After the rules: until they are there, open connections of the LAN go by main's default.
    append<AddRoute>(plan, std::vector(main_routes.begin(), main_routes.end()));
    plan_buckets(plan, actual.datapath, state.datapath, BucketSwitch::late);
    plan_attachments(plan, actual.datapath, state.datapath);
    plan_sysctls(plan, actual, state.sysctls, true);
    plan_return(plan, actual, state.sysctls, memory);
    remove_rules(plan, only_in_first(actual.rules, state.rules));
    append<RemoveRoute>(plan, routes.removed);
    plan_detachments(plan, actual.datapath, state.datapath);
    plan_forgetting(plan, desired, memory);
    return plan;
}

Plan make_removal_plan(const ActualState& actual, const Memory& memory) {
    Plan plan;
    // Before everything else: it sets every interface's, which are then put back one by one, and
    // nothing leaves without masquerading in the meantime.
    plan_restoration(plan, actual, memory, true);
    if (actual.datapath) {
        plan.emplace_back(UnloadPrograms{});
    }
    remove_rules(plan, actual.rules);
    append<RemoveRoute>(plan, actual.routes);
    if (actual.netfilter != ActualState::Netfilter::absent) {
        plan.emplace_back(RemoveNetfilter{});
    }
    plan_restoration(plan, actual, memory, false);
    if (actual.table_names) {
        plan.emplace_back(SetTableNames{actual.table_names, std::nullopt});
    }
    return plan;
}

} // namespace linkbal
