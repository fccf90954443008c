// SPDX-License-Identifier: GPL-2.0-or-later
// Judges how links are to be judged.
#pragma once

#include <span>

#include "core/config_findings.h"

namespace linkbal {

// Against itself: part of check_config().
void check_health(const Config& config, Findings& findings);

// The LAN answers whatever becomes of a link, so no target may be in one of its networks.
void check_targets_outside(const Config& config, std::span<const Prefix> networks,
                           Findings& findings);

} // namespace linkbal
