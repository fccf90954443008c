// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// An exclusive lock on a file that need not be there before and may be removed while it is held.
// The lock goes with the object, or with the process however that ends.
class LockFile {
  public:
    // Waits up to `patience`. Creates the file and its directory.
    static Result<LockFile> acquire(const std::filesystem::path& path,
                                    std::chrono::milliseconds patience);

    [[nodiscard]] std::string read() const; // the first line, at most 64 bytes
    Status write(std::string_view content);
    void remove(); // whoever waits for the lock then makes a new file

  private:
    LockFile(std::filesystem::path path, Fd file)
        : path_(std::move(path)), file_(std::move(file)) {}
    std::filesystem::path path_;
    Fd file_;
};

} // namespace linkbal
