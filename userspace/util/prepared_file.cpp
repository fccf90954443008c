// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/prepared_file.h"

#include <cerrno>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/file.h"

namespace linkbal {

namespace {

constexpr mode_t new_mode = 0644;

using Attributes = struct stat;

// Empty: there is no such file.
Result<std::optional<Attributes>> attributes_of(const std::filesystem::path& path) {
    Attributes found{};
    if (::lstat(path.c_str(), &found) == 0) {
        return found;
    }
    if (errno == ENOENT) {
        return std::nullopt;
    }
    return fail_errno(errno, fmt::format("look at {}", path.string()));
}

bool set_attributes(const Fd& file, const std::optional<Attributes>& former) {
    if (!former) {
        return ::fchmod(file.get(), new_mode) == 0;
    }
    constexpr mode_t permissions = 0777;
    return ::fchown(file.get(), former->st_uid, former->st_gid) == 0 &&
           ::fchmod(file.get(), former->st_mode & permissions) == 0;
}

// Else the new name may be lost in a crash of the machine, though the rename was seen.
Status sync_directory(const std::filesystem::path& directory) {
    const Fd file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!file || ::fsync(file.get()) != 0) {
        return fail_errno(errno, fmt::format("write {}", directory.string()));
    }
    return {};
}

std::filesystem::path name_beside(const std::filesystem::path& path, std::string_view suffix) {
    return path.parent_path() / fmt::format(".{}.{}", path.filename().string(), suffix);
}

// LockFile would make the directory.
Result<LockFile> lock_beside(const std::filesystem::path& path,
                             std::chrono::milliseconds patience) {
    if (::access(path.parent_path().c_str(), F_OK) != 0) {
        return fail_errno(errno, fmt::format("write in {}", path.parent_path().string()));
    }
    auto lock = LockFile::acquire(name_beside(path, "lock"), patience);
    const bool held = !lock && lock.error().code == 0;
    return held ? fail("{} is just being written by another process", path.string())
                : std::move(lock);
}

Status rename_file(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        return fail_errno(errno, fmt::format("rename {} to {}", from.string(), to.string()));
    }
    return {};
}

void add(Error& error, const Status& another) {
    if (!another) {
        error.message += "; " + another.error().message;
    }
}

} // namespace

Result<PreparedFile> PreparedFile::create(const std::filesystem::path& path,
                                          std::string_view content,
                                          std::chrono::milliseconds patience) {
    auto lock = lock_beside(path, patience);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    PreparedFile prepared(path, *std::move(lock));
    const auto former = attributes_of(path);
    if (!former) {
        return tl::unexpected(former.error());
    }
    if (*former && !S_ISREG((*former)->st_mode)) {
        return fail("{}: expected a regular file", path.string());
    }
    prepared.replaces_ = former->has_value();
    const auto unfinished = prepared.unfinished();
    ::unlink(unfinished.c_str());
    const Fd file(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR));
    if (!file) {
        return fail_errno(errno, fmt::format("create {}", unfinished.string()));
    }
    if (!write_all(file, content) || !set_attributes(file, *former) || ::fsync(file.get()) != 0) {
        return fail_errno(errno, fmt::format("write {}", unfinished.string()));
    }
    return prepared;
}

PreparedFile::PreparedFile(PreparedFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)),
      replaces_(other.replaces_), keeps_former_(other.keeps_former_) {}

PreparedFile::~PreparedFile() {
    if (!path_.empty()) {
        ::unlink(unfinished().c_str());
        if (!keeps_former_) {
            ::unlink(beside("old").c_str());
        }
        lock_.remove();
    }
}

std::filesystem::path PreparedFile::beside(std::string_view suffix) const {
    return name_beside(path_, suffix);
}

Status PreparedFile::put() {
    const auto former = beside("old");
    ::unlink(former.c_str());
    if (replaces_ && ::link(path_.c_str(), former.c_str()) != 0) {
        return fail_errno(errno, fmt::format("keep {} as {}", path_.string(), former.string()));
    }
    if (auto renamed = rename_file(unfinished(), path_); !renamed) {
        return renamed;
    }
    auto lasting = sync_directory(path_.parent_path());
    if (!lasting) {
        add(lasting.error(), bring_back());
    }
    return lasting;
}

Status PreparedFile::bring_back() {
    if (replaces_) {
        auto renamed = rename_file(beside("old"), path_);
        keeps_former_ = !renamed;
        return renamed;
    }
    if (::unlink(path_.c_str()) != 0 && errno != ENOENT) {
        return fail_errno(errno, fmt::format("remove {}", path_.string()));
    }
    return {};
}

Status PreparedFile::take_back() {
    const auto back = bring_back();
    return back ? sync_directory(path_.parent_path()) : back;
}

Status put_all(std::span<PreparedFile> files) {
    for (size_t i = 0; i < files.size(); ++i) {
        auto put = files[i].put();
        for (size_t done = put ? 0 : i; done > 0; --done) {
            add(put.error(), files[done - 1].take_back());
        }
        if (!put) {
            return put;
        }
    }
    return {};
}

} // namespace linkbal
