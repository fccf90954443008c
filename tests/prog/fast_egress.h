// SPDX-License-Identifier: GPL-2.0-or-later
// Connections that conntrack is told of, packets of them at egress, and what the programs there make of it.
#pragma once

#include "fast_world.h"
#include "support/conntrack_entry.h"

namespace linkbal::test {

// A connection that began with packets like those of `flow`.
ConntrackEntry connection(const Flow& flow);
// A connection with answers like the packets of `flow`.
ConntrackEntry answered_connection(const Flow& flow);

// The kernel has forwarded a packet of the flow, which is at egress now.
void leave(FastWorld& world, const Flow& flow, const Segment& segment);
void leave(FastWorld& world, const Flow& flow);

bool is_known(const FastWorld& world, const Flow& flow);
// The entry at a place is what the flow's should be, but for its lease and counters.
void check_learned(const FastWorld& world, const Flow& flow, Place place);
// A lease that has just been given, in ticks.
void check_lease(const FastWorld& world, const lb_lease& lease, uint32_t longest);

} // namespace linkbal::test
