// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "util/result.h"

namespace linkbal {

Result<std::string> read_file(const std::filesystem::path& path);
// By a temporary file in the same directory and a rename.
Status write_file_atomically(const std::filesystem::path& path, std::string_view content);

} // namespace linkbal
