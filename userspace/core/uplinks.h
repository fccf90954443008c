// SPDX-License-Identifier: GPL-2.0-or-later
// From the configuration's uplinks to what they are on this machine.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/conditions.h"
#include "core/config.h"
#include "core/facts.h"
#include "core/memory.h"
#include "util/result.h"

namespace linkbal {

// How one family leaves by an uplink.
struct UplinkPath {
    std::optional<IpAddress> gateway;        // empty: the device is point-to-point
    std::vector<InterfaceAddress> addresses; // global ones, at least one
    bool operator==(const UplinkPath&) const = default;
};

struct Uplink {
    std::string name;
    std::string device;
    uint32_t id = 0; // 1 to 255, in packet and conntrack marks
    uint32_t table = 0;
    uint32_t weight = 1;
    uint32_t tier = 1;
    bool retired = false; // no longer configured; carries its open connections to their end
    // A command has taken it out of service; its open connections go on.
    bool drained = false;
    bool carrier = true;                    // of its interface
    bool ready = true;                      // its bring-up is not under way or failed
    bool brought_up = false;                // by its commands
    std::optional<uint32_t> ordered_weight; // by a command, in place of the configured one
    uint32_t configured_weight = 1;
    std::array<std::optional<UplinkPath>, 2> paths; // by Family; empty: there is no way out
    std::array<bool, 2> carries{};                  // by Family: open connections go on
    std::array<bool, 2> serves{};                   // by Family: new connections come
    std::array<bool, 2> gateway_answers{};          // by Family: probes, as far as is known

    [[nodiscard]] const std::optional<UplinkPath>& path(Family family) const {
        return paths[static_cast<size_t>(family)];
    }
    // False while the interface is switched off or not there.
    [[nodiscard]] bool has_any_path() const { return paths[0] || paths[1]; }
};

struct ResolvedTables {
    std::vector<Uplink> uplinks; // in the configuration's order, then the retired ones
    uint32_t balance_table = 0;
    std::array<bool, 2> families{}; // those that are balanced, or were and may be again
};

// Ids and tables that `memory` holds are kept, unless the mask has no room for the id any more or the
// configuration names the table for something else; new ones are the lowest that nobody uses. An
// uplink whose interface is switched off carries nothing and is no error. What `memory` has retired is
// kept while its interface is up and nobody else has its table or id. Errors: more uplinks than ids,
// and unless a daemon is watching, an interface that does not exist or is up without a way out.
Result<ResolvedTables> resolve_uplinks(const Config& config, const Facts& facts,
                                       const Memory& memory, const Conditions& conditions = {});

} // namespace linkbal
