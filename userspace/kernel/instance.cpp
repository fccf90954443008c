// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/instance.h"

#include <cerrno>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "util/file.h"

namespace linkbal {

namespace {

namespace fs = std::filesystem;

fs::path directory_of(const std::string& instance) { return fs::path("/run") / instance; }
fs::path memory_path(const std::string& instance) { return directory_of(instance) / "state.json"; }
fs::path lock_path(const std::string& instance) { return directory_of(instance) / "lock"; }

std::string holder(const std::string& instance) {
    const auto text = read_file(lock_path(instance));
    return text && !text->empty() ? fmt::format("process {}", text->substr(0, text->find('\n')))
                                  : "another process";
}

} // namespace

Result<InstanceLock> InstanceLock::acquire(const std::string& instance,
                                           std::chrono::milliseconds patience) {
    auto file = LockFile::acquire(lock_path(instance), patience);
    if (!file) {
        return file.error().code != 0
                   ? tl::unexpected(file.error())
                   : fail("instance {} is being changed by {}", instance, holder(instance));
    }
    // For those who wait; without it they only know less.
    (void)file->write(fmt::format("{}\n", ::getpid()));
    return InstanceLock(instance, *std::move(file));
}

InstanceLock::~InstanceLock() {
    std::error_code ignored;
    if (file_ && !fs::exists(memory_path(instance_), ignored)) {
        file_->remove();
        fs::remove(directory_of(instance_), ignored); // stays if somebody keeps a file in it
    }
}

Result<Memory> read_memory(const std::string& instance) {
    const auto path = memory_path(instance);
    if (!fs::exists(path)) {
        return Memory{};
    }
    const auto text = read_file(path);
    if (!text) {
        return tl::unexpected(text.error());
    }
    auto memory = parse_memory(*text);
    return memory ? memory : tl::unexpected(memory.error().within("read " + path.string()));
}

Status write_memory(const std::string& instance, const Memory& memory) {
    return write_file_atomically(memory_path(instance), print_memory(memory));
}

Status remove_memory(const std::string& instance) {
    std::error_code error;
    fs::remove(memory_path(instance), error);
    return error ? Status(fail_errno(error.value(),
                                     fmt::format("remove {}", memory_path(instance).string())))
                 : Status{};
}

Result<uint64_t> network_namespace() {
    struct stat info{};
    if (::stat("/proc/self/ns/net", &info) != 0) {
        return fail_errno(errno, "look at /proc/self/ns/net");
    }
    return static_cast<uint64_t>(info.st_ino);
}

} // namespace linkbal
