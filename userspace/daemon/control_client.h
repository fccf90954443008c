// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include "core/control.h"
#include "util/result.h"

namespace linkbal {

// Asks the instance's running daemon and waits for its answer. Empty: there is none.
Result<std::optional<Answer>> ask_daemon(const std::string& instance, const Request& request);

} // namespace linkbal
