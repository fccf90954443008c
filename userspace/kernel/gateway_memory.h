// SPDX-License-Identifier: GPL-2.0-or-later
// What a gateway remembers of its uplinks from one change to the next.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/memory.h"
#include "core/plan.h"
#include "core/uplinks.h"
#include "util/result.h"

namespace linkbal {

std::vector<RememberedUplink> remembered(const std::vector<Uplink>& uplinks);

// Uplinks that are no longer configured: retired while they have open connections, forgotten when
// they have none.
Result<Memory> with_retired(Memory memory, const Config& config);

// The other instance that is at work in this network namespace, if there is one: routes and rules are
// known as ours by their protocol, so two would take each other's away.
std::optional<std::string> other_instance_here(const std::string& instance, uint64_t here);

// What `down` and a crash need to know, before the first step is taken: the former value of every
// sysctl that will change, all ids and tables in use, old and new, and the mount.
Memory journal(Memory memory, const Desired& desired, const Plan& plan, uint64_t network_namespace);

} // namespace linkbal
