// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/plan.h"

#include <algorithm>
#include <iterator>

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
    for (const Route& wanted : only_in_first(desired, actual)) {
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
        plan.push_back(ActionType{item});
    }
}

void plan_datapath(Plan& plan, const ActualState& actual, const DatapathState& desired) {
    const ActualState::Datapath nothing{};
    const auto& now = actual.datapath ? *actual.datapath : nothing;
    if (!now.current_programs) {
        plan.push_back(LoadPrograms{actual.datapath.has_value()});
    }
    if (now.uplinks != desired.uplinks) {
        plan.push_back(SetUplinks{now.uplinks, desired.uplinks});
    }
    if (now.bypass != desired.bypass) {
        plan.push_back(SetBypass{now.bypass, desired.bypass});
    }
    for (const Family family : families) {
        const auto index = static_cast<size_t>(family);
        if (now.buckets[index] != desired.buckets[index]) {
            plan.push_back(SetBuckets{family, now.buckets[index], desired.buckets[index]});
        }
    }
}

void plan_sysctls(Plan& plan, const ActualState& actual, const std::vector<Sysctl>& desired) {
    for (const Sysctl& wanted : desired) {
        const auto now = std::ranges::find(actual.sysctls, wanted.key, &Sysctl::key);
        if (now != actual.sysctls.end() && now->value != wanted.value) {
            plan.push_back(SetSysctl{wanted.key, now->value, wanted.value});
        }
    }
}

void plan_forgetting(Plan& plan, const Desired& desired, const Memory& memory) {
    const uint32_t mask = desired.state.datapath.mark_mask;
    for (const RememberedUplink& known : memory.uplinks) {
        const bool stays = std::ranges::any_of(desired.uplinks, [&](const Uplink& uplink) {
            return uplink.name == known.name;
        });
        if (!stays) {
            plan.push_back(ForgetConnections{known.name, uplink_mark(known.id, mask), mask});
        }
    }
}

// Setting one of these changes the same parameter of every interface, so they come first.
bool sets_others(const std::string& key) {
    return key == "net/ipv4/ip_forward" || key == "net/ipv6/conf/all/forwarding";
}

void plan_restoration(Plan& plan, const ActualState& actual, const Memory& memory, bool first) {
    for (const auto& [key, value] : memory.sysctls) {
        const auto now = std::ranges::find(actual.sysctls, key, &Sysctl::key);
        if (sets_others(key) == first && now != actual.sysctls.end()) {
            plan.push_back(SetSysctl{key, now->value, value});
        }
    }
}

} // namespace

std::vector<Attachment> desired_attachments(const DatapathState& datapath) {
    std::vector<Attachment> attachments;
    for (const std::string& device : datapath.lan_devices) {
        attachments.push_back({device, Hook::lan_ingress});
        attachments.push_back({device, Hook::lan_egress});
    }
    for (const DatapathUplink& uplink : datapath.uplinks) {
        attachments.push_back({uplink.device, Hook::uplink_egress});
    }
    std::ranges::sort(attachments);
    return attachments;
}

Plan make_plan(const ActualState& actual, const Desired& desired, const Memory& memory) {
    const GatewayState& state = desired.state;
    const RouteChanges routes = compare_routes(actual.routes, state.routes);
    const auto attached =
        actual.datapath ? actual.datapath->attachments : std::vector<Attachment>{};
    const auto wanted = desired_attachments(state.datapath);

    Plan plan;
    if (actual.table_names != state.table_names) {
        plan.push_back(SetTableNames{actual.table_names, state.table_names});
    }
    append<AddRoute>(plan, routes.added);
    if (actual.netfilter != ActualState::Netfilter::same) {
        plan.push_back(ReplaceNetfilter{
            state.netfilter, actual.netfilter == ActualState::Netfilter::different});
    }
    plan_datapath(plan, actual, state.datapath);
    std::ranges::copy(routes.replaced, std::back_inserter(plan));
    append<AddRule>(plan, only_in_first(state.rules, actual.rules));
    append<Attach>(plan, only_in_first(wanted, attached));
    plan_sysctls(plan, actual, state.sysctls);
    append<RemoveRule>(plan, only_in_first(actual.rules, state.rules));
    append<RemoveRoute>(plan, routes.removed);
    append<Detach>(plan, only_in_first(attached, wanted));
    plan_forgetting(plan, desired, memory);
    return plan;
}

Plan make_removal_plan(const ActualState& actual, const Memory& memory) {
    Plan plan;
    if (actual.datapath) {
        plan.push_back(UnloadPrograms{});
    }
    append<RemoveRule>(plan, actual.rules);
    append<RemoveRoute>(plan, actual.routes);
    if (actual.netfilter != ActualState::Netfilter::absent) {
        plan.push_back(RemoveNetfilter{});
    }
    plan_restoration(plan, actual, memory, true);
    plan_restoration(plan, actual, memory, false);
    if (actual.table_names) {
        plan.push_back(SetTableNames{actual.table_names, std::nullopt});
    }
    return plan;
}

} // namespace linkbal
