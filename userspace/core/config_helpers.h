// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [helpers].
#pragma once

#include "core/toml_reader.h"

namespace linkbal {

// Those that are on, sorted.
void read_helpers(TableReader& table, std::vector<HelperConfig>& helpers);

} // namespace linkbal
