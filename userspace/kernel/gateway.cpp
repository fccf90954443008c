// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/gateway.h"

#include <algorithm>
#include <chrono>

#include <linux/netlink.h>

#include "core/config_check.h"
#include "kernel/applier.h"
#include "kernel/expedited_rcu.h"
#include "kernel/instance.h"
#include "kernel/sysctl.h"
#include "kernel/table_names.h"

namespace linkbal {

namespace {

std::vector<Sysctl> present_values(const std::vector<std::string>& keys) {
    std::vector<Sysctl> values;
    for (const std::string& key : keys) {
        if (const auto value = read_sysctl(key)) {
            values.push_back({key, *value});
        }
    }
    return values;
}

ActualState::Netfilter netfilter_state(NetfilterMatch match) {
    switch (match) {
    case NetfilterMatch::absent:
        return ActualState::Netfilter::absent;
    case NetfilterMatch::same:
        return ActualState::Netfilter::same;
    case NetfilterMatch::different:
        break;
    }
    return ActualState::Netfilter::different;
}

std::vector<RememberedUplink> remembered(const std::vector<Uplink>& uplinks) {
    std::vector<RememberedUplink> all;
    for (const Uplink& uplink : uplinks) {
        all.push_back({uplink.name, uplink.device, uplink.id, uplink.table, uplink.weight});
    }
    return all;
}

// What `down` and a crash need to know, before the first step is taken: the former value of every
// sysctl that will change, and all ids and tables in use, old and new.
Memory journal(const Preparation& preparation, uint64_t network_namespace) {
    Memory memory = preparation.memory;
    memory.network_namespace = network_namespace;
    memory.balance_table = preparation.desired.balance_table;
    for (const RememberedUplink& uplink : remembered(preparation.desired.uplinks)) {
        const auto known =
            std::ranges::find(memory.uplinks, uplink.name, &RememberedUplink::name);
        if (known == memory.uplinks.end()) {
            memory.uplinks.push_back(uplink);
        }
    }
    for (const Action& action : preparation.plan) {
        if (const auto* change = std::get_if<SetSysctl>(&action)) {
            memory.sysctls.emplace(change->key, change->from);
            for (const Sysctl& other : side_effects_of(change->key)) {
                memory.sysctls.emplace(other.key, other.value);
            }
        }
    }
    return memory;
}

NotationContext notation_context(const std::string& instance, const GatewayState& state) {
    return {.instance = instance,
            .table_names = state.table_names,
            .uplinks = state.datapath.uplinks,
            .table_names_file = table_names_path(instance).string(),
            .use_tcx = state.datapath.use_tcx};
}

} // namespace

Result<Gateway> Gateway::open(const std::string& instance) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    auto datapath = Datapath::open(instance);
    if (!datapath) {
        return tl::unexpected(datapath.error());
    }
    return Gateway(instance, *std::move(socket), *std::move(datapath));
}

Result<Memory> Gateway::memory_of_this_namespace() {
    auto memory = read_memory(instance_);
    const auto here = network_namespace();
    if (!memory || !here) {
        return tl::unexpected(memory ? here.error() : memory.error());
    }
    if (memory->network_namespace != 0 && memory->network_namespace != *here) {
        return fail("instance {} is at work in another network namespace: name this one with "
                    "--instance, or remove /run/{} if that namespace is gone",
                    instance_, instance_);
    }
    return memory;
}

Result<ActualState> Gateway::actual_state(const Observation& seen, const GatewayState& desired) {
    ActualState actual{.routes = seen.our_routes,
                       .rules = seen.our_rules,
                       .sysctls = {},
                       .datapath = {},
                       .table_names = {}};
    std::vector<std::string> keys;
    std::ranges::transform(desired.sysctls, std::back_inserter(keys), &Sysctl::key);
    actual.sysctls = present_values(keys);
    const auto match = compare(instance_, desired.netfilter);
    if (!match) {
        return tl::unexpected(match.error());
    }
    actual.netfilter = netfilter_state(*match);
    auto datapath = datapath_.read(desired.datapath);
    if (!datapath) {
        return tl::unexpected(datapath.error());
    }
    actual.datapath = *std::move(datapath);
    auto names = read_table_names(instance_);
    if (!names) {
        return tl::unexpected(names.error());
    }
    actual.table_names = *std::move(names);
    return actual;
}

tl::expected<Preparation, Refusal> Gateway::prepare(const Config& config,
                                                    const std::string& file) {
    const auto refuse = [](const Error& error) {
        return tl::unexpected(Refusal{.mistakes = {}, .error = error});
    };
    auto memory = memory_of_this_namespace();
    if (!memory) {
        return refuse(memory.error());
    }
    const auto seen = observe(route_socket_, instance_);
    if (!seen) {
        return refuse(seen.error());
    }
    auto mistakes = check_system(config, seen->facts, file);
    if (!mistakes.empty()) {
        return tl::unexpected(Refusal{.mistakes = std::move(mistakes), .error = {}});
    }
    const auto use_tcx = datapath_.choose_tcx(config.balance.attach);
    if (!use_tcx) {
        return refuse(use_tcx.error());
    }
    const auto buckets = datapath_.buckets();
    if (!buckets) {
        return refuse(buckets.error());
    }
    auto desired = desired_state(config, seen->facts, *memory, *buckets, *use_tcx);
    if (!desired) {
        return refuse(desired.error());
    }
    const auto actual = actual_state(*seen, desired->state);
    if (!actual) {
        return refuse(actual.error());
    }
    Plan plan = make_plan(*actual, *desired, *memory);
    NotationContext notation = notation_context(instance_, desired->state);
    return Preparation{.memory = *std::move(memory),
                       .desired = *std::move(desired),
                       .plan = std::move(plan),
                       .notation = std::move(notation)};
}

Status Gateway::apply(const Preparation& preparation, const Progress& progress) {
    const auto here = network_namespace();
    const auto seen = observe(route_socket_, instance_);
    if (!here || !seen) {
        return tl::unexpected(here ? seen.error() : here.error());
    }
    const ExpeditedRcu expedited;
    Memory memory = journal(preparation, *here);
    if (const auto written = write_memory(instance_, memory); !written) {
        return written;
    }
    const auto mounted = datapath_.mount();
    if (!mounted) {
        return tl::unexpected(mounted.error());
    }
    memory.mounted_bpffs |= *mounted;
    const InterfaceNames names(seen->facts.interfaces);
    Applier applier(instance_, route_socket_, names, datapath_,
                    preparation.desired.state.datapath);
    const auto applied = apply_or_undo(applier, preparation.plan, progress);
    if (!applied) {
        // As before: what was remembered then, or nothing.
        if (preparation.memory == Memory{}) {
            datapath_.unmount(*mounted);
            forget_instance(instance_);
        } else {
            write_memory(instance_, preparation.memory);
        }
        return applied;
    }
    memory.uplinks = remembered(preparation.desired.uplinks);
    return write_memory(instance_, memory);
}

Result<bool> Gateway::remove(const Progress& progress) {
    const auto memory = memory_of_this_namespace();
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    const auto seen = observe(route_socket_, instance_);
    if (!seen) {
        return tl::unexpected(seen.error());
    }
    auto actual = actual_state(*seen, {});
    if (!actual) {
        return tl::unexpected(actual.error());
    }
    std::vector<std::string> keys;
    for (const auto& [key, value] : memory->sysctls) {
        keys.push_back(key);
    }
    actual->sysctls = present_values(keys);
    const Plan plan = make_removal_plan(*actual, *memory);
    const ExpeditedRcu expedited;
    const InterfaceNames names(seen->facts.interfaces);
    const DatapathState nothing{};
    Applier applier(instance_, route_socket_, names, datapath_, nothing);
    if (const auto removed = apply_all(applier, plan, progress); !removed) {
        return tl::unexpected(removed.error());
    }
    datapath_.unmount(memory->mounted_bpffs);
    const auto forgotten = forget_instance(instance_);
    return forgotten ? Result<bool>(!plan.empty()) : tl::unexpected(forgotten.error());
}

} // namespace linkbal
