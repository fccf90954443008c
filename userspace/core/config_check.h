// SPDX-License-Identifier: GPL-2.0-or-later
// Judges a configuration that could be read: first against itself, then against this machine.
// Both are pure, change nothing, and return every mistake in the order of the file; none means
// good.
#pragma once

#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/config_error.h"
#include "core/facts.h"

namespace linkbal {

// The uplinks that a mask can tell apart: one value of its bits each, zero being "not ours", and
// never more than the datapath has ids for (255). A firewall takes the value of all bits for itself.
[[nodiscard]] uint32_t mask_capacity(uint32_t mark_mask, bool firewall = false);

// Where `path` stands in the file; where it is not written, the section that it would be in, and
// failing that the first character of the file.
[[nodiscard]] Position position_of(const Config& config, std::string_view path);

// `file` is only for messages, here and below.
[[nodiscard]] std::vector<ConfigError> check_config(const Config& config, std::string_view file);

// Against this machine. If `watched` by a daemon, only what the configuration itself contradicts: what
// is missing may come later.
[[nodiscard]] std::vector<ConfigError> check_system(const Config& config, const Facts& facts,
                                                    std::string_view file, bool watched = false);

} // namespace linkbal
