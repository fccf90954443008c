// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/bpffs.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include <bpf/bpf.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

namespace linkbal {

namespace {

namespace fs = std::filesystem;

constexpr char unfinished_mark = '~';

// Empty where it may not be known: process 1 can have capabilities that we lack.
fs::path mount_namespace(const std::string& process) {
    std::error_code error;
    return fs::read_symlink("/proc/" + process + "/ns/mnt", error);
}

// "0" for the first process of a container or of the machine.
std::string parent_of(const std::string& process) {
    std::ifstream status("/proc/" + process + "/status");
    for (std::string word; status >> word;) {
        if (word == "PPid:" && status >> word) {
            return word;
        }
    }
    return "0";
}

// True if an ancestor lives in another mount namespace: this one ends before the ancestor does.
bool in_private_mount_namespace() {
    const auto ours = mount_namespace("self");
    for (auto process = parent_of("self"); process != "0"; process = parent_of(process)) {
        const auto theirs = mount_namespace(process);
        if (!theirs.empty() && theirs != ours) {
            return true;
        }
    }
    return false;
}

// What the kernel itself puts into every bpffs where it is built with BPF_PRELOAD.
bool is_preloaded(const std::string& name) { return name == "maps.debug" || name == "progs.debug"; }

// Of an error that errno tells of.
const char* mount_need() { return errno == EPERM ? " (CAP_SYS_ADMIN is needed)" : ""; }

} // namespace

bool has_bpffs() {
    struct statfs info{};
    return statfs(bpffs_path, &info) == 0 &&
           static_cast<unsigned long>(info.f_type) == BPF_FS_MAGIC;
}

Status require_visible_bpffs() {
    if (!has_bpffs() && in_private_mount_namespace()) {
        return fail(
            "{} is not a bpffs in this private mount namespace (`ip netns exec` makes one for "
            "each command): use `nsenter --net=/run/netns/NAME` instead",
            bpffs_path);
    }
    return {};
}

Result<bool> mount_bpffs() {
    if (has_bpffs()) {
        return false;
    }
    if (auto visible = require_visible_bpffs(); !visible) {
        return tl::unexpected(visible.error());
    }
    if (mount("bpf", bpffs_path, "bpf", 0, "mode=0700") != 0) {
        return fail_errno(errno, fmt::format("mounting a bpffs on {}{}", bpffs_path, mount_need()));
    }
    return true;
}

Status unmount_bpffs() {
    if (!has_bpffs()) {
        return {};
    }
    const auto names = list_directory(bpffs_path);
    if (!names) {
        return tl::unexpected(names.error());
    }
    if (!std::ranges::all_of(*names, is_preloaded)) {
        return {};
    }
    if (umount(bpffs_path) != 0 && errno != EBUSY) {
        return fail_errno(errno, fmt::format("unmounting {}{}", bpffs_path, mount_need()));
    }
    return {};
}

std::string pin_name(std::string_view interface) {
    std::string name;
    for (const char c : interface) {
        if (c == '.' || c == '%') {
            name += c == '.' ? "%2e" : "%25";
        } else {
            name += c;
        }
    }
    return name;
}

std::string interface_of_pin(std::string_view name) {
    std::string interface;
    for (size_t i = 0; i < name.size(); ++i) {
        const auto escape = name.substr(i, 3);
        const bool escaped = escape == "%2e" || escape == "%25";
        interface += escape == "%2e" ? '.' : name[i];
        i += escaped ? 2 : 0;
    }
    return interface;
}

Status make_directory(const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail_errno(errno, fmt::format("making the directory {}", path));
    }
    return {};
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path, error)) {
        names.push_back(entry.path().filename());
    }
    if (error && error.value() != ENOENT) {
        return fail_errno(error.value(), fmt::format("listing {}", path));
    }
    std::ranges::sort(names);
    return names;
}

Status remove_pin(const std::string& path) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
        return fail_errno(errno, fmt::format("removing the pin {}", path));
    }
    return {};
}

Status remove_directory(const std::string& path) {
    if (rmdir(path.c_str()) != 0 && errno != ENOENT) {
        return fail_errno(errno, fmt::format("removing the directory {}", path));
    }
    return {};
}

Result<Fd> open_pin(const std::string& path) {
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd && errno != ENOENT) {
        return fail_errno(errno, fmt::format("opening {}", path));
    }
    return fd;
}

Status stage_pin(int fd, const std::string& path) {
    const std::string next = unfinished(path);
    if (auto cleared = remove_pin(next); !cleared) {
        return cleared;
    }
    return bpf_obj_pin(fd, next.c_str()) == 0 ? Status()
                                              : fail_errno(errno, fmt::format("pinning {}", path));
}

// rename() takes the old pin's place in one step; a pin can't be made over another.
Status replace_pin(int fd, const std::string& path) {
    if (auto staged = stage_pin(fd, path); !staged) {
        return staged;
    }
    const std::string next = unfinished(path);
    if (rename(next.c_str(), path.c_str()) != 0) {
        const int code = errno;
        (void)remove_pin(next); // the first error is the one to report
        return fail_errno(code, fmt::format("pinning {}", path));
    }
    return {};
}

std::string unfinished(std::string_view path) { return std::string(path) + unfinished_mark; }
bool is_unfinished(std::string_view path) { return path.ends_with(unfinished_mark); }

Status rename_pin(const std::string& from, const std::string& to) {
    if (rename(from.c_str(), to.c_str()) != 0) {
        return fail_errno(errno, fmt::format("renaming the pin {} to {}", from, to));
    }
    return {};
}

} // namespace linkbal
