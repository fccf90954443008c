// SPDX-License-Identifier: GPL-2.0-or-later
// Reads linkbal.toml(5) into a Config. Types, ranges and spelling are checked here; what values
// mean to each other and to the machine is core/config_check.h's business.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "core/config.h"
#include "core/config_error.h"

namespace linkbal {

// The configuration, or every mistake that one pass can find, in the order of the file. A mistake
// in the TOML itself is the only one reported, because nothing after it can be trusted.
using ConfigResult = tl::expected<Config, std::vector<ConfigError>>;

// `file_name` is only for messages.
[[nodiscard]] ConfigResult parse_config(std::string_view text, std::string_view file_name);

// Parses, then holds the configuration against itself with check_config().
[[nodiscard]] ConfigResult accept_config(std::string_view text, std::string_view file_name);

// The same for a file.
[[nodiscard]] ConfigResult load_config(const std::string& path);

} // namespace linkbal
