// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "core/desired.h"
#include "core/plan.h"

namespace linkbal {

// True if the plan does nothing but put back what `applied`, the state that was made last, had already:
// somebody else has undone it. An empty plan is no repair.
bool is_repair(const Plan& plan, const GatewayState& applied);

} // namespace linkbal
