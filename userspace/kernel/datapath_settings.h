// SPDX-License-Identifier: GPL-2.0-or-later
// What programs are told when they are loaded.
#pragma once

#include <cstdint>
#include <optional>

#include "core/gateway_state.h"
#include "linkbal/abi.h"
#include "util/result.h"

namespace linkbal {

// The clock of leases: jiffies >> shift, `per_second` times a second.
struct LeaseClock {
    uint8_t shift = 0;
    uint32_t per_second = 0;
    bool operator==(const LeaseClock&) const = default;
};
// As slow as can be with twelve ticks a second; of a kernel with fewer jiffies than that, each.
LeaseClock lease_clock(uint32_t jiffies_per_second);

// The seed of the hash and the tag of packets stay what they are in `former`: devices are switched to new
// programs one by one.
Result<lb_settings> settings_for(const DatapathState& state,
                                 const std::optional<lb_settings>& former);

} // namespace linkbal
