// SPDX-License-Identifier: GPL-2.0-or-later
// Rules that take out some of what another one accepts. [firewall] and [[forward]] say what is accepted and
// nothing else, so that such a rule is not followed there.
#pragma once

#include <span>
#include <vector>

#include "core/import/model.h"

namespace linkbal {

// Whether some packet that begins a connection could match both; what is not understood could be anything.
[[nodiscard]] bool can_overlap(const PacketRule& a, const PacketRule& b);

// Of the first `end` rules those that refuse some of what `wanted` accepts: of its chain, in chains that it
// leads to, or before it in raw and mangle. Those that [firewall] has by itself are none, nor what is about
// packets that it never lets in.
[[nodiscard]] std::vector<const PacketRule*> refusals_of(const PacketRule& wanted,
                                                         std::span<const PacketRule> rules,
                                                         size_t end, const ImportModel& model);

} // namespace linkbal
