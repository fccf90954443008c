// SPDX-License-Identifier: GPL-2.0-or-later
// Names of routing tables, as iproute2 reads them: NUMBER NAME, a line each, # comments.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/gateway_state.h"
#include "util/result.h"

namespace linkbal {

// The lines that iproute2 would understand, in their order.
std::vector<TableName> parse_table_names(const std::string& text);
// What our file holds for these names, and where `made` are directories that were made for it.
std::string table_names_text(const std::vector<TableName>& names,
                             const std::vector<std::string>& made = {});

// /etc/iproute2/rt_tables.d/INSTANCE.conf
std::filesystem::path table_names_path(const std::string& instance);

// An error where the file is there and is not ours: `up` must not go on.
Status check_table_names_file(const std::string& instance);
// Ours; empty where the file is not there, or is somebody else's.
Result<std::optional<std::vector<TableName>>> read_table_names(const std::string& instance);
// Everybody else's: rt_tables and rt_tables.d/*.conf of /etc/iproute2 and, where /etc has none of the
// same name, of the vendor's directory (iproute2 6.5 and later).
std::vector<TableName> read_foreign_table_names(const std::string& instance);
// Writes ours, or removes the file where `names` is empty. Creates the directory if it must, and
// removes it with the last file if it did. Never touches a file that is not ours.
Status write_table_names(const std::string& instance,
                         const std::optional<std::vector<TableName>>& names);
// What a killed process left half-written. With the instance's lock held.
void discard_unfinished_table_names(const std::string& instance);

} // namespace linkbal
