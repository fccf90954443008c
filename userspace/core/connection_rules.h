// SPDX-License-Identifier: GPL-2.0-or-later
// The rules of [helpers] and of an uplink's mss: what is done to connections as they begin.
#pragma once

#include "core/netfilter_state.h"
#include "core/nft_rule.h"

namespace linkbal {

void append_helpers(NftRuleset& ruleset, const NetfilterState& state);
void append_clamps(NftRuleset& ruleset, const NetfilterState& state);

} // namespace linkbal
