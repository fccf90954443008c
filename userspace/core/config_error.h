// SPDX-License-Identifier: GPL-2.0-or-later
// A mistake in the configuration file, as everybody reports it.
#pragma once

#include <string>

#include "core/config.h"

namespace linkbal {

struct ConfigError {
    std::string file;
    Position position;   // nowhere when the file as a whole is meant (it cannot be read)
    std::string message; // what was found and what was expected, without a final full stop

    // "FILE:LINE:COLUMN: message", or "FILE: message" for a position of nowhere.
    [[nodiscard]] std::string str() const;
    bool operator==(const ConfigError&) const = default;
};

// Sorts by position and drops what is said twice about one place.
void order_errors(std::vector<ConfigError>& errors);

} // namespace linkbal
