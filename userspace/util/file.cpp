// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/file.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace linkbal {

// A write that stops short, as on a file system that is full, says why when it is tried again.
bool write_all(const Fd& file, std::string_view content) {
    while (!content.empty()) {
        const auto written = ::write(file.get(), content.data(), content.size());
        if (written < 0 && errno != EINTR) {
            return false;
        }
        content.remove_prefix(written < 0 ? 0 : static_cast<size_t>(written));
    }
    return true;
}

// Not by streams, where a failure to read looks like an empty file.
Result<std::string> read_file(const std::filesystem::path& path) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return fail_errno(errno, fmt::format("open {}", path.string()));
    }
    std::string content;
    std::array<char, 4096> part{};
    for (;;) {
        const auto size = ::read(file.get(), part.data(), part.size());
        if (size < 0) {
            return fail_errno(errno, fmt::format("read {}", path.string()));
        }
        if (size == 0) {
            return content;
        }
        content.append(part.data(), static_cast<size_t>(size));
    }
}

std::filesystem::path unfinished_path(const std::filesystem::path& path) {
    return path.string() + ".new";
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view content,
                             mode_t mode) {
    const std::string temporary = unfinished_path(path).string();
    ::unlink(temporary.c_str());
    const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!file) {
        return fail_errno(errno, fmt::format("create {}", temporary));
    }
    // The data before the name: else a crash leaves an empty file under it. Free on tmpfs.
    if (!write_all(file, content) || ::fchmod(file.get(), mode) != 0 || ::fsync(file.get()) != 0 ||
        ::rename(temporary.c_str(), path.c_str()) != 0) {
        const int code = errno;
        ::unlink(temporary.c_str());
        return fail_errno(code, fmt::format("write {}", path.string()));
    }
    return {};
}

} // namespace linkbal
