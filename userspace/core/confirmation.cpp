// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/confirmation.h"

#include <algorithm>
#include <utility>

namespace linkbal {

namespace {

using std::chrono::milliseconds;

milliseconds stored(Time deadline) {
    return std::chrono::ceil<milliseconds>(deadline.time_since_epoch());
}

// What is known of its state since then stays as it is. Two must not have one id, which open
// connections carry.
void remember_again(std::vector<RememberedUplink>& uplinks, const RememberedUplink& former) {
    const auto now = std::ranges::find(uplinks, former.name, &RememberedUplink::name);
    if (now != uplinks.end()) {
        now->table = former.table;
        now->drained = former.drained;
        now->ordered_weight = former.ordered_weight;
        now->configured_weight = former.configured_weight;
    } else if (std::ranges::find(uplinks, former.id, &RememberedUplink::id) == uplinks.end()) {
        uplinks.push_back(former);
    }
}

} // namespace

Result<Memory> on_trial(Memory memory, const std::string& text, Time deadline) {
    Unconfirmed change{.deadline = stored(deadline), .text = text, .former = std::nullopt};
    if (!memory.uplinks.empty()) {
        if (!memory.applied) {
            return fail(
                "there is no way back: what is at work was applied by a former version of "
                "linkbal, which did not keep its configuration; apply that with `linkbal up` "
                "once");
        }
        FormerGateway former{.source = *memory.applied,
                             .uplinks = memory.uplinks,
                             .balance_table = memory.balance_table,
                             .sysctls = {}};
        for (const auto& [key, value] : memory.sysctls) {
            former.sysctls.push_back(key);
        }
        change.former = std::move(former);
    }
    memory.unconfirmed = std::move(change);
    return memory;
}

Memory until(Memory memory, Time deadline) {
    if (memory.unconfirmed) {
        memory.unconfirmed->deadline = stored(deadline);
    }
    return memory;
}

Memory confirmed(Memory memory) {
    memory.unconfirmed.reset();
    return memory;
}

Memory returning(Memory memory) {
    if (!memory.unconfirmed) {
        return memory;
    }
    memory.unconfirmed->returning = true;
    if (const auto& former = memory.unconfirmed->former) {
        memory.balance_table = former->balance_table;
        for (const RememberedUplink& uplink : former->uplinks) {
            remember_again(memory.uplinks, uplink);
        }
    }
    return memory;
}

Memory returned(Memory memory) {
    if (memory.unconfirmed) {
        memory.rejected = std::move(memory.unconfirmed->text);
        memory.unconfirmed.reset();
    }
    return memory;
}

Memory superseded(Memory memory) {
    const bool asked_for =
        memory.unconfirmed && memory.applied && memory.unconfirmed->text == memory.applied->text;
    return asked_for ? confirmed(std::move(memory)) : returned(std::move(memory));
}

bool is_nothing(const Memory& memory) {
    Memory nothing;
    nothing.network_namespace = memory.network_namespace;
    return memory == nothing;
}

std::vector<std::string> sysctls_to_return(const Memory& memory) {
    std::vector<std::string> keys;
    if (!memory.unconfirmed || !memory.unconfirmed->returning || !memory.unconfirmed->former) {
        return keys;
    }
    const auto& before = memory.unconfirmed->former->sysctls;
    for (const auto& [key, value] : memory.sysctls) {
        if (std::ranges::find(before, key) == before.end()) {
            keys.push_back(key);
        }
    }
    return keys;
}

std::optional<ConfigSource> in_place_of(const std::string& text, const Memory& memory) {
    if (memory.unconfirmed) {
        const auto& former = memory.unconfirmed->former;
        return former && text == memory.unconfirmed->text ? std::optional(former->source)
                                                          : std::nullopt;
    }
    const bool rejected = memory.applied && text == memory.rejected && text != memory.applied->text;
    return rejected ? memory.applied : std::nullopt;
}

std::chrono::seconds time_left(const Unconfirmed& change, Time now) {
    const auto left = change.deadline - now.time_since_epoch();
    return std::max(std::chrono::ceil<std::chrono::seconds>(left), std::chrono::seconds(0));
}

std::string waiting_words(const Unconfirmed& change, Time now, const std::string& who) {
    return fmt::format(
        "a change waits for its confirmation ({}, {} s are left): run `linkbal confirm` "
        "to keep it, or `linkbal down`",
        who, time_left(change, now).count());
}

} // namespace linkbal
