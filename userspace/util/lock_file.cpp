// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/lock_file.h"

#include <array>
#include <cerrno>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace linkbal {

namespace {

constexpr auto retry_interval = std::chrono::milliseconds(10);

// The former holder may have removed the file: whoever waited for it then locks nothing.
bool still_there(const Fd& file, const std::filesystem::path& path) {
    struct stat held{};
    struct stat named{};
    return ::fstat(file.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
           held.st_ino == named.st_ino;
}

// Nobody else may write in it, whatever the umask: what lies there is believed. No error where it is
// gone again: the former holder of the lock has removed it.
std::error_code make_directory(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error || ::mkdir(path.c_str(), 0755) == 0) {
        return error;
    }
    error.assign(errno, std::generic_category());
    std::error_code ignored;
    const bool in_the_way =
        std::filesystem::exists(std::filesystem::symlink_status(path, ignored)) &&
        !std::filesystem::is_directory(path, ignored);
    return error == std::errc::file_exists && !in_the_way ? std::error_code() : error;
}

} // namespace

Result<LockFile> LockFile::acquire(const std::filesystem::path& path,
                                   std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const std::error_code directory = make_directory(path.parent_path());
        Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        // The former holder may have removed the directory in between; then there was no error.
        if (const int code = errno; !file && (code != ENOENT || directory)) {
            return fail_errno(code != ENOENT ? code : directory.value(),
                              fmt::format("open {}", path.string()));
        }
        if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 && still_there(file, path)) {
            return LockFile(path, std::move(file));
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            return fail("{} is locked", path.string());
        }
        std::this_thread::sleep_for(retry_interval);
    }
}

std::string LockFile::read() const {
    std::array<char, 64> text{};
    const auto size = ::pread(file_.get(), text.data(), text.size(), 0);
    const std::string content(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
    return content.substr(0, content.find('\n'));
}

Status LockFile::write(std::string_view content) {
    if (::ftruncate(file_.get(), 0) != 0 || ::pwrite(file_.get(), content.data(), content.size(),
                                                     0) != static_cast<ssize_t>(content.size())) {
        return fail_errno(errno, fmt::format("write {}", path_.string()));
    }
    return {};
}

void LockFile::remove() { ::unlink(path_.c_str()); }

} // namespace linkbal
