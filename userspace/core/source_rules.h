// SPDX-License-Identifier: GPL-2.0-or-later
// The rules of [firewall] that see packets before anybody else: whether they came in pieces, and whether
// their source may be what it says.
#pragma once

#include "core/netfilter_state.h"
#include "core/nft_rule.h"

namespace linkbal {

// Appends the sets of sources and the chains in front of routing; the chains where packets are dropped
// are there already.
void append_source_rules(NftRuleset& ruleset, const NetfilterState& state);

} // namespace linkbal
