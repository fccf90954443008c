// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

Result<std::string> read_file(const std::filesystem::path& path);

// False with the reason in errno.
bool write_all(const Fd& file, std::string_view content);

// By a temporary file in the same directory, unfinished_path(), and a rename: readers and a crash of
// the machine see the former content or this one. It has this mode, whatever the umask.
Status write_file_atomically(const std::filesystem::path& path, std::string_view content,
                             mode_t mode = 0644);

// What write_file_atomically() leaves behind if the process is killed in it. For those who hold a
// lock on `path` to remove.
std::filesystem::path unfinished_path(const std::filesystem::path& path);

} // namespace linkbal
