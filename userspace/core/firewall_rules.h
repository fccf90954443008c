// SPDX-License-Identifier: GPL-2.0-or-later
// The rules of [firewall]. What leaves the gateway itself is nobody's business: no chain sees it.
//
// The fast path agrees with them without knowing them: it repeats what was let through, learns nothing
// of what was dropped, and its leases end when the table changes. A packet of an open connection that
// comes in by another device than before is not its (lb_flow::ingress), but these rules'.
#pragma once

#include <string_view>

#include "core/netfilter_state.h"
#include "core/nft_rule.h"

namespace linkbal {

// Packets that were dropped, and DNS queries that were rejected.
inline constexpr std::string_view firewall_prefix = "fw_";

// Appends sets, counters and chains.
void append_firewall(NftRuleset& ruleset, const NetfilterState& state);

// Sources that come by no uplink, unless they are expected: what nobody on the internet has.
// (Documentation networks are left out: they harm nobody, and laboratories use them.)
const std::vector<Prefix>& spoofed_sources();

} // namespace linkbal
