// SPDX-License-Identifier: GPL-2.0-or-later
// Which uplinks get new connections, and whose open connections have come to their end: pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/conditions.h"
#include "core/config.h"
#include "core/memory.h"
#include "core/uplinks.h"

namespace linkbal {

// Sets `carries` and `serves` of every uplink. New connections of a family go to the lowest tier that
// carries it and is not drained. If there is none, and the configuration says so, those that have
// served last go on, or any that could.
void choose_service(std::vector<Uplink>& uplinks, const FailoverConfig& failover,
                    const Memory& memory, const Conditions& conditions);

// Connections that an uplink can't carry any more, or that are to begin anew on a better one.
struct EndedService {
    std::string uplink;
    uint32_t id = 0;
    Family family = Family::ipv4;
    bool operator==(const EndedService&) const = default;
};

// Of uplinks that carried a family when `memory` was written and do not now; with OnReturn::move also
// of a tier that steps back because a lower one is back.
std::vector<EndedService> ended_service(const std::vector<Uplink>& uplinks,
                                        const FailoverConfig& failover, const Memory& memory);

} // namespace linkbal
