// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

#include "util/result.h"

namespace linkbal {

// Entries of the flow cache whose lease has not ended, of both families. `directory` is where the
// datapath is pinned.
Result<uint64_t> count_cached_flows(const std::string& directory);

} // namespace linkbal
