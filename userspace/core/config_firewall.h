// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [firewall], [[forward]] and [helpers].
#pragma once

#include "core/toml_reader.h"

namespace linkbal {

// What of them the file has. `root` is the file itself.
void read_filtering(TableReader& root, Config& config);

} // namespace linkbal
