// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/way_out.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <way_out.skel.h>

#include "kernel/libbpf_log.h"
#include "util/file.h"

namespace linkbal {

namespace {

using Skeleton = std::unique_ptr<way_out_bpf, decltype(&way_out_bpf::destroy)>;

// mountinfo writes blanks, newlines and backslashes as three octal digits (proc(5)).
std::string unescaped(std::string_view text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            plain += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 3)), nullptr, 8));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

struct Mount {
    std::string root, point; // of the hierarchy, of the file system
};

// The first file system of type cgroup2: "31 23 0:28 ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE OPTIONS".
std::optional<Mount> cgroup_mount(const std::string& mounts) {
    std::istringstream lines(mounts);
    for (std::string line; std::getline(lines, line);) {
        const size_t separator = line.find(" - ");
        if (separator == std::string::npos ||
            !std::string_view(line).substr(separator + 3).starts_with("cgroup2 ")) {
            continue;
        }
        std::istringstream words(line);
        std::string skipped;
        std::string root;
        std::string point;
        words >> skipped >> skipped >> skipped >> root >> point;
        return Mount{unescaped(root), unescaped(point)};
    }
    return std::nullopt;
}

// Version 2 is the line "0::PATH".
std::optional<std::string> membership(const std::string& memberships) {
    std::istringstream lines(memberships);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("0::/")) {
            return line.substr(3);
        }
    }
    return std::nullopt;
}

Result<Fd> make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        return fail_errno(errno, fmt::format("making the cgroup {}", path));
    }
    Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory ? Result<Fd>(std::move(directory))
                     : fail_errno(errno, fmt::format("opening the cgroup {}", path));
}

bool attach(const Fd& directory, int program, uint32_t flags, int replaced = -1) {
    LIBBPF_OPTS(bpf_prog_attach_opts, options);
    options.flags = flags;
    options.replace_prog_fd = replaced;
    return bpf_prog_attach_opts(program, directory.get(), BPF_CGROUP_INET_SOCK_CREATE, &options) ==
           0;
}

// The first program that a former version has left there, where it may be opened by its id (for
// CAP_SYS_ADMIN only).
Fd left_behind(const Fd& directory) {
    std::array<__u32, 64> ids{}; // as many as a cgroup can have
    __u32 count = ids.size();
    const bool found = bpf_prog_query(directory.get(), BPF_CGROUP_INET_SOCK_CREATE, 0, nullptr,
                                      ids.data(), &count) == 0 &&
                       count > 0;
    return Fd(found ? bpf_prog_get_fd_by_id(ids[0]) : -1);
}

// Attached to the cgroup rather than by a BPF link: it lasts exactly as long as the cgroup does.
//
// BPF_F_ALLOW_OVERRIDE: it is the only one of its cgroup, and takes the place of an earlier owner's in
// one step, which among several (BPF_F_ALLOW_MULTI) has to be named by a descriptor that nobody can
// have any more. Those of outer cgroups run beside it all the same, if they are of several.
//
// Former versions were of several, and the kernel lets nobody mix them (EPERM): ours comes beside
// theirs there, behind them, so that its mark is the one that counts.
Status attach(const Fd& directory, const std::string& path, int program) {
    bool attached = attach(directory, program, BPF_F_ALLOW_OVERRIDE);
    if (!attached && errno == EPERM) {
        const Fd former = left_behind(directory);
        attached = former
                       ? attach(directory, program, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, former.get())
                       : attach(directory, program, BPF_F_ALLOW_MULTI);
    }
    return attached
               ? Status()
               : fail_errno(errno, fmt::format("attaching a BPF program to the cgroup {}", path));
}

Status mark_sockets(const Fd& directory, const std::string& path, uint32_t mark) {
    const LibbpfLog log;
    const Skeleton skeleton(way_out_bpf::open(), &way_out_bpf::destroy);
    if (!skeleton) {
        return fail_errno(errno, "opening the BPF program that marks sockets");
    }
    skeleton->rodata->way_out_mark = mark;
    if (const int error = way_out_bpf::load(skeleton.get()); error != 0) {
        return fail_errno(-error, "loading the BPF program that marks sockets");
    }
    return attach(directory, path, bpf_program__fd(skeleton->progs.lb_way_out));
}

} // namespace

Result<std::string> own_cgroup(const std::string& mounts, const std::string& memberships) {
    const auto mount = cgroup_mount(mounts);
    const auto member = membership(memberships);
    if (!mount || !member) {
        return fail("no cgroup file system of version 2 is mounted");
    }
    std::string_view below = *member;
    if (below.starts_with("/..")) {
        return fail("our cgroup {} is outside of our cgroup namespace", below);
    }
    if (mount->root != "/") {
        const bool visible =
            below.starts_with(mount->root) &&
            (below.size() == mount->root.size() || below[mount->root.size()] == '/');
        if (!visible) {
            return fail("our cgroup {} is not below {}, which is mounted at {}", *member,
                        mount->root, mount->point);
        }
        below.remove_prefix(mount->root.size());
    }
    return mount->point + std::string(below == "/" ? "" : below);
}

Result<WayOut> WayOut::make(const std::string& instance, const std::string& uplink, uint32_t mark) {
    const auto mounts = read_file("/proc/self/mountinfo");
    const auto memberships = read_file("/proc/self/cgroup");
    if (!mounts || !memberships) {
        return tl::unexpected(mounts ? memberships.error() : mounts.error());
    }
    const auto own = own_cgroup(*mounts, *memberships);
    if (!own) {
        return tl::unexpected(own.error());
    }
    const std::string path = fmt::format("{}/{}.{}", *own, instance, uplink);
    auto directory = make_directory(path);
    if (!directory) {
        return tl::unexpected(directory.error());
    }
    WayOut way_out(path, *std::move(directory)); // from here on it goes if anything fails
    if (const auto marked = mark_sockets(way_out.directory_, path, mark); !marked) {
        return tl::unexpected(marked.error());
    }
    return way_out;
}

WayOut::~WayOut() {
    if (directory_) {
        ::rmdir(path_.c_str());
    }
}

} // namespace linkbal
