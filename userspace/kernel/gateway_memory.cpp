// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/gateway_memory.h"

#include <algorithm>
#include <filesystem>

#include "kernel/bpffs.h"
#include "kernel/conntrack.h"
#include "kernel/instance.h"
#include "kernel/sysctl.h"

namespace linkbal {

std::vector<RememberedUplink> remembered(const std::vector<Uplink>& uplinks) {
    std::vector<RememberedUplink> all;
    for (const Uplink& uplink : uplinks) {
        RememberedUplink known{.name = uplink.name,
                               .interface = uplink.device,
                               .id = uplink.id,
                               .table = uplink.table,
                               .weight = uplink.weight,
                               .gateways = {},
                               .retired = uplink.retired,
                               .drained = uplink.drained,
                               .brought_up = uplink.brought_up,
                               .ordered_weight = uplink.ordered_weight,
                               .configured_weight = uplink.configured_weight,
                               .carried = uplink.carries,
                               .served = uplink.serves,
                               .gateway_answers = uplink.gateway_answers};
        for (const Family family : families) {
            const auto& path = uplink.path(family);
            known.gateways.at(static_cast<size_t>(family)) = path ? path->gateway : std::nullopt;
        }
        all.push_back(known);
    }
    return all;
}

Result<Memory> with_retired(Memory memory, const Config& config) {
    const auto configured = [&](const RememberedUplink& known) {
        return std::ranges::find(config.uplinks, known.name, &UplinkConfig::name) !=
               config.uplinks.end();
    };
    if (std::ranges::all_of(memory.uplinks, configured)) {
        return memory;
    }
    const auto open = count_by_mark(config.balance.mark_mask);
    if (!open) {
        return tl::unexpected(open.error());
    }
    for (RememberedUplink& known : memory.uplinks) {
        known.retired = !configured(known);
    }
    std::erase_if(memory.uplinks, [&](const RememberedUplink& known) {
        return known.retired && !open->contains(uplink_mark(known.id, config.balance.mark_mask));
    });
    return memory;
}

std::optional<std::string> other_instance_here(const std::string& instance, uint64_t here) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/run", ignored)) {
        std::string name = entry.path().filename().string();
        if (name == instance || !std::filesystem::exists(entry.path() / "state.json", ignored)) {
            continue;
        }
        const auto memory = read_memory(name);
        if (memory && memory->network_namespace == here) {
            return name;
        }
    }
    return std::nullopt;
}

Memory journal(Memory memory, const Desired& desired, const Plan& plan,
               uint64_t network_namespace) {
    memory.network_namespace = network_namespace;
    memory.mounted_bpffs |= !has_bpffs();
    memory.balance_table = desired.balance_table;
    memory.families = desired.families;
    for (const RememberedUplink& uplink : remembered(desired.uplinks)) {
        const auto known = std::ranges::find(memory.uplinks, uplink.name, &RememberedUplink::name);
        if (known == memory.uplinks.end()) {
            memory.uplinks.push_back(uplink);
        }
    }
    for (const Action& action : plan) {
        if (const auto* change = std::get_if<SetSysctl>(&action)) {
            memory.sysctls.emplace(change->key, change->from);
            for (const Sysctl& other : side_effects_of(change->key)) {
                memory.sysctls.emplace(other.key, other.value);
            }
        }
    }
    return memory;
}

} // namespace linkbal
