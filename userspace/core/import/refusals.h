// SPDX-License-Identifier: GPL-2.0-or-later
// Rules that take out some of what a later one accepts. [firewall] and [[forward]] say what is accepted and
// nothing else, so that such a later rule is not followed.
#pragma once

#include <span>
#include <vector>

#include "core/import/model.h"

namespace linkbal {

// Whether some packet that begins a connection could match both; what is not understood could be anything.
[[nodiscard]] bool can_overlap(const PacketRule& a, const PacketRule& b);

// The rules of the chain of rules[accept] in front of it that refuse some of what it accepts. Those that
// [firewall] has by itself are none.
[[nodiscard]] std::vector<const PacketRule*>
refusals_before(std::span<const PacketRule> rules, size_t accept, const ImportModel& model);

} // namespace linkbal
