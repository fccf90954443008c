// SPDX-License-Identifier: GPL-2.0-or-later
// Files that are written beside those that they are to replace, so that all of them come or none.
#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string_view>

#include "util/lock_file.h"
#include "util/result.h"

namespace linkbal {

class PreparedFile {
  public:
    // Writes ".NAME.new" beside `path`, down to the disk: hidden, because many programs read every
    // other file of their configuration's directory. Owner and mode are those of the file at `path`; a
    // new one is ours, 0644. What is there and no regular file is an error. Another PreparedFile for the
    // same place is waited for, up to `patience`, by ".NAME.lock": what one has had checked must not be
    // replaced by the other.
    static Result<PreparedFile>
    create(const std::filesystem::path& path, std::string_view content,
           std::chrono::milliseconds patience = std::chrono::seconds(10));

    PreparedFile(PreparedFile&& other) noexcept;
    PreparedFile& operator=(PreparedFile&&) = delete;
    PreparedFile(const PreparedFile&) = delete;
    PreparedFile& operator=(const PreparedFile&) = delete;
    ~PreparedFile(); // removes what it left beside `path`

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    // Where it can be read until it is put in place.
    [[nodiscard]] std::filesystem::path unfinished() const { return beside("new"); }

    // By a rename: readers see the former file or this one. After an error it is as before, also
    // where only the directory could not be written down to the disk.
    Status put();
    // The former file again, or none where there was none; only after put(). Where that fails the
    // former one stays beside `path`, as ".NAME.old".
    Status take_back();

  private:
    PreparedFile(std::filesystem::path path, LockFile lock)
        : path_(std::move(path)), lock_(std::move(lock)) {}
    [[nodiscard]] std::filesystem::path beside(std::string_view suffix) const;
    Status bring_back();

    std::filesystem::path path_; // empty: moved from
    LockFile lock_;
    bool replaces_ = false;
    bool keeps_former_ = false; // it is nowhere else
};

// All of them, or none: where one can't come, those before it are taken back. Only a process that is
// killed between two of them leaves some.
Status put_all(std::span<PreparedFile> files);

} // namespace linkbal
