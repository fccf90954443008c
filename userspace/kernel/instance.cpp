// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/instance.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/table_names.h"
#include "util/fd.h"
#include "util/file.h"

namespace linkbal {

namespace {

namespace fs = std::filesystem;

fs::path directory_of(const std::string& instance) { return fs::path("/run") / instance; }
fs::path memory_path(const std::string& instance) { return directory_of(instance) / "state.json"; }
fs::path lock_path(const std::string& instance) { return directory_of(instance) / "lock"; }
fs::path daemon_path(const std::string& instance) { return directory_of(instance) / "daemon"; }
fs::path waiting_path(const std::string& instance) { return directory_of(instance) / "waiting"; }

// The first entry of the directory that is not ours; empty: there is none, or no directory.
std::string foreign_entry(const fs::path& directory) {
    constexpr std::array<std::string_view, 6> ours{"state.json", "state.json.new", "lock",
                                                   "daemon",     "control",        "waiting"};
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) {
        const std::string name = entry.path().filename();
        if (std::ranges::find(ours, name) == ours.end()) {
            return name;
        }
    }
    return {};
}

// An instance's name must not make another program's directory ours (/run/systemd, /run/lock). Where
// our state is, the directory is ours, whatever somebody has put beside it.
Status check_directory(const std::string& instance) {
    const fs::path directory = directory_of(instance);
    struct stat info{};
    if (::stat(directory.c_str(), &info) != 0 || fs::exists(memory_path(instance))) {
        return {}; // LockFile reports what is the matter, if anything
    }
    std::string reason;
    if (!S_ISDIR(info.st_mode)) {
        reason = "is not a directory";
    } else if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        reason = "may be written by others";
    } else if (const std::string entry = foreign_entry(directory); !entry.empty()) {
        reason = fmt::format("holds {}", entry);
    }
    return reason.empty() ? Status{}
                          : Status(fail("{} {}, so it is not linkbal's: name this instance "
                                        "differently with --instance",
                                        directory.string(), reason));
}

std::string holder(const fs::path& lock) {
    const auto text = read_file(lock);
    return text && !text->empty() ? fmt::format("process {}", text->substr(0, text->find('\n')))
                                  : "another process";
}

// A process that was killed leaves the file of its lock, and a daemon its socket.
void discard_dead(const fs::path& lock, const fs::path& socket = {}) {
    std::error_code ignored;
    if (!fs::exists(lock, ignored)) {
        return;
    }
    if (auto dead = LockFile::acquire(lock, std::chrono::milliseconds(0))) {
        if (!socket.empty()) {
            fs::remove(socket, ignored);
        }
        dead->remove();
    }
}

// What a process that was killed was about to write. Nobody else writes while we hold the lock.
void discard_unfinished(const std::string& instance) {
    std::error_code ignored;
    discard_dead(daemon_path(instance), control_path(instance));
    discard_dead(waiting_path(instance));
    fs::remove(unfinished_path(memory_path(instance)), ignored);
    discard_unfinished_table_names(instance);
}

} // namespace

Result<InstanceLock> InstanceLock::acquire(const std::string& instance,
                                           std::chrono::milliseconds patience) {
    if (const auto ours = check_directory(instance); !ours) {
        return tl::unexpected(ours.error());
    }
    auto file = LockFile::acquire(lock_path(instance), patience);
    if (!file) {
        return file.error().code != 0 ? tl::unexpected(file.error())
                                      : fail("instance {} is being changed by {}", instance,
                                             holder(lock_path(instance)));
    }
    // For those who wait; without it they only know less.
    (void)file->write(fmt::format("{}\n", ::getpid()));
    discard_unfinished(instance);
    return InstanceLock(instance, *std::move(file));
}

InstanceLock::~InstanceLock() {
    std::error_code ignored;
    if (file_ && !fs::exists(memory_path(instance_), ignored)) {
        file_->remove();
        fs::remove(directory_of(instance_), ignored); // stays if somebody keeps a file in it
    }
}

Result<LockFile> lock_for_daemon(const std::string& instance) {
    if (const auto ours = check_directory(instance); !ours) {
        return tl::unexpected(ours.error());
    }
    // Somebody may just be looking if it is free.
    auto file = LockFile::acquire(daemon_path(instance), std::chrono::milliseconds(500));
    if (!file) {
        return file.error().code != 0 ? tl::unexpected(file.error())
                                      : fail("instance {} has a daemon already: {}", instance,
                                             holder(daemon_path(instance)));
    }
    (void)file->write(fmt::format("{}\n", ::getpid()));
    return file;
}

Result<LockFile> lock_for_waiting(const std::string& instance) {
    auto file = LockFile::acquire(waiting_path(instance), std::chrono::milliseconds(2000));
    if (file) {
        (void)file->write(fmt::format("{}\n", ::getpid()));
    }
    return file;
}

std::optional<std::string> waiting_process(const std::string& instance) {
    const Fd file(::open(waiting_path(instance).c_str(), O_RDONLY | O_CLOEXEC));
    const bool held = file && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0;
    return held ? std::optional(holder(waiting_path(instance))) : std::nullopt;
}

std::string run_directory(const std::string& instance) { return directory_of(instance).string(); }

std::string control_path(const std::string& instance) {
    return (directory_of(instance) / "control").string();
}

Result<Memory> read_memory(const std::string& instance) {
    const auto path = memory_path(instance);
    const auto text = read_file(path);
    if (!text) {
        return text.error().code == ENOENT ? Result<Memory>(Memory{})
                                           : tl::unexpected(text.error());
    }
    auto memory = parse_memory(*text);
    return memory
               ? memory
               : fail("{} is damaged ({}): remove it to go on; the values that sysctls had before "
                      "the first `up` are lost with it, and the numbers of uplinks that open "
                      "connections carry",
                      path.string(), memory.error().message);
}

Status write_memory(const std::string& instance, const Memory& memory) {
    // It has the text of a configuration, in which commands may be given passwords.
    constexpr mode_t for_root = 0600;
    return write_file_atomically(memory_path(instance), print_memory(memory), for_root);
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
