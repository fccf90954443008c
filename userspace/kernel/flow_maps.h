// SPDX-License-Identifier: GPL-2.0-or-later
// The pinned maps of the flow cache.
#pragma once

#include <optional>
#include <string>

#include "linkbal/abi.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// nullopt: nothing is pinned in `directory`, or it has no fast path.
[[nodiscard]] Result<std::optional<lb_settings>> fast_path_settings(const std::string& directory);

// Fails if it is not there.
[[nodiscard]] Result<Fd> open_flow_map(const std::string& directory, const char* name);

} // namespace linkbal
