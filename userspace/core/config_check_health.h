// SPDX-License-Identifier: GPL-2.0-or-later
// The part of check_config() that judges how links are to be judged.
#pragma once

#include "core/config_findings.h"

namespace linkbal {

void check_health(const Config& config, Findings& findings);

} // namespace linkbal
