// SPDX-License-Identifier: GPL-2.0-or-later
// `linkbal import`: the configuration that does what a shell script of iptables and ip commands does.
// The script is read, never run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/import/model.h"

namespace linkbal {

// Longer ones are nobody's firewall.
inline constexpr size_t longest_script = 256 * 1024;

struct ImportResult {
    ImportModel model;
    std::vector<ImportedCommand> commands; // each of the script
    [[nodiscard]] size_t count(Fate fate) const;
    [[nodiscard]] bool found() const { return !model.config.uplinks.empty(); }
};

[[nodiscard]] ImportResult import_script(std::string_view script);

// As linkbal.toml(5), with a comment for each command that is not taken over as it is. `name` is the
// script's, for the first line.
[[nodiscard]] std::string import_toml(const ImportResult& result, std::string_view name);

} // namespace linkbal
