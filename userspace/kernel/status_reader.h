// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <string>

#include "core/status.h"
#include "util/result.h"

namespace linkbal {

// From what is loaded and remembered; no configuration is read. Rates are measured over `interval`,
// which the call waits for; 0: no rates.
Result<GatewayStatus> read_status(const std::string& instance, std::chrono::milliseconds interval);

} // namespace linkbal
