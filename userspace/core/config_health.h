// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [health], and [uplink.health] over it.
#pragma once

#include "core/toml_reader.h"

namespace linkbal {

// What a section is laid over.
struct HealthDefaults {
    HealthConfig values;
    bool probe_known = true;      // false: the word for it was wrong, and its targets mean nothing
    bool targets_written = false; // false: they are only what `values.probe` brings with it
};

// One section, key by key over what is inherited. A probe that needs targets and has none is left
// without: whether somebody uses it so, check_config() sees.
[[nodiscard]] HealthDefaults read_health(TableReader& table, const HealthDefaults& inherited);

} // namespace linkbal
