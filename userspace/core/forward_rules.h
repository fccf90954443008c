// SPDX-License-Identifier: GPL-2.0-or-later
// The rules of [[forward]]: whose connections come to a host of the LAN.
#pragma once

#include "core/netfilter_state.h"
#include "core/nft_rule.h"

namespace linkbal {

// Appends sets and the chain that maps destinations.
void append_forwards(NftRuleset& ruleset, const NetfilterState& state);

// Of the chain that maps sources: a host of the LAN that was led back into it by an uplink's address
// must be answered by way of the gateway. Empty where no forward needs it.
std::vector<NftRule> hairpin_rules(const NetfilterState& state);

} // namespace linkbal
