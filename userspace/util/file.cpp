// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/file.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

#include "util/fd.h"

namespace linkbal {

Result<std::string> read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return fail_errno(errno, fmt::format("open {}", path.string()));
    }
    std::ostringstream content;
    content << file.rdbuf();
    if (file.bad()) {
        return fail_errno(errno, fmt::format("read {}", path.string()));
    }
    return content.str();
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view content) {
    const std::string temporary = path.string() + ".new";
    const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file) {
        return fail_errno(errno, fmt::format("create {}", temporary));
    }
    const auto written = ::write(file.get(), content.data(), content.size());
    if (written != static_cast<ssize_t>(content.size()) ||
        ::rename(temporary.c_str(), path.c_str()) != 0) {
        const int code = errno;
        ::unlink(temporary.c_str());
        return fail_errno(code, fmt::format("write {}", path.string()));
    }
    return {};
}

} // namespace linkbal
