// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_error.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

namespace linkbal {

std::string ConfigError::str() const {
    if (position.line == 0) {
        return fmt::format("{}: {}", file, message);
    }
    return fmt::format("{}:{}:{}: {}", file, position.line, position.column, message);
}

void order_errors(std::vector<ConfigError>& errors) {
    const auto key = [](const ConfigError& error) {
        return std::tie(error.position.line, error.position.column, error.message);
    };
    std::ranges::stable_sort(errors, {}, key);
    const auto rest = std::ranges::unique(errors);
    errors.erase(rest.begin(), rest.end());
}

} // namespace linkbal
