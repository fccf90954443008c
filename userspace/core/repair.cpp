// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/repair.h"

#include <algorithm>

namespace linkbal {

namespace {

template <typename T>
bool contains(const std::vector<T>& all, const T& one) {
    return std::ranges::find(all, one) != all.end();
}

// Whether the action makes what the state had already.
struct PutsBack {
    const GatewayState& applied;

    bool operator()(const SetTableNames& action) const { return action.to == applied.table_names; }
    bool operator()(const AddRoute& action) const { return contains(applied.routes, action.route); }
    bool operator()(const ReplaceRoute& action) const {
        return contains(applied.routes, action.to);
    }
    bool operator()(const RemoveRoute& action) const {
        return !contains(applied.routes, action.route);
    }
    bool operator()(const AddRule& action) const { return contains(applied.rules, action.rule); }
    bool operator()(const RemoveRule& action) const {
        return !contains(applied.rules, action.rule);
    }
    bool operator()(const SetSysctl& action) const {
        return contains(applied.sysctls, Sysctl{action.key, action.to});
    }
    bool operator()(const ReplaceNetfilter& action) const { return action.to == applied.netfilter; }
    bool operator()(const SetDevices& action) const {
        return action.to.lan == applied.datapath.lan_devices &&
               action.to.uplinks == applied.datapath.uplinks &&
               action.to.devices == applied.datapath.devices;
    }
    bool operator()(const SetBypass& action) const { return action.to == applied.datapath.bypass; }
    bool operator()(const SetBuckets& action) const {
        return action.to == applied.datapath.buckets.at(static_cast<size_t>(action.family));
    }
    bool operator()(const LoadPrograms&) const { return true; }
    bool operator()(const Attach& action) const {
        return contains(wanted_attachments(applied.datapath), action.at);
    }
    bool operator()(const Detach& action) const {
        return !contains(wanted_attachments(applied.datapath), action.at);
    }
    // These come of decisions.
    bool operator()(const ForgetConnections&) const { return false; }
    bool operator()(const AdoptConnections&) const { return true; } // goes with LoadPrograms
    bool operator()(const UnloadPrograms&) const { return false; }
    bool operator()(const RemoveNetfilter&) const { return false; }
};

} // namespace

bool is_repair(const Plan& plan, const GatewayState& applied) {
    return !plan.empty() && std::ranges::all_of(plan, [&](const Action& action) {
        return std::visit(PutsBack{applied}, action);
    });
}

} // namespace linkbal
