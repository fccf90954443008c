// SPDX-License-Identifier: GPL-2.0-or-later
// The table `inet INSTANCE`: which chains and rules make conntrack the authority on the uplink of a
// connection, and, where they are asked for, the firewall, port forwards, helpers and clamped MSS.
#pragma once

#include <string_view>

#include "core/gateway_state.h"
#include "core/nft_rule.h"

namespace linkbal {

// A named counter counts connections, because its rule sees first packets only.
inline constexpr std::string_view arrived_prefix = "arrived_";
inline constexpr std::string_view left_prefix = "left_";

// How the comment of our table begins: by it the table is known as ours.
inline constexpr std::string_view table_signature = "written by linkbal";

NftRuleset netfilter_ruleset(const NetfilterState& state);

} // namespace linkbal
