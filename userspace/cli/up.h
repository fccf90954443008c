// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/report.h"
#include "core/config.h"

namespace linkbal {

// Applies, and says what was done; the exit status.
int bring_up(Gateway& gateway, const Config& config, const Options& options);

} // namespace linkbal
