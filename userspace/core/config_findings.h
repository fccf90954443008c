// SPDX-License-Identifier: GPL-2.0-or-later
// What the checks of core/config_check.h share: mistakes are collected by path, and placed by it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "core/config_check.h"

namespace linkbal {

class Findings {
  public:
    Findings(const Config& config, std::string_view file) : config_(&config), file_(file) {}

    // `path` as in Config::positions.
    template <typename... Args>
    void report(std::string_view path, fmt::format_string<Args...> format, Args&&... args) {
        errors_.push_back(
            {file_, position_of(*config_, path), fmt::format(format, std::forward<Args>(args)...)});
    }
    [[nodiscard]] std::vector<ConfigError> take() && {
        order_errors(errors_);
        return std::move(errors_);
    }

  private:
    const Config* config_;
    std::string file_;
    std::vector<ConfigError> errors_;
};

// "uplink[2].table"; without a key, the section's own path.
inline std::string uplink_path(size_t index, std::string_view key = "") {
    return fmt::format("uplink[{}]{}{}", index, key.empty() ? "" : ".", key);
}

} // namespace linkbal
