// SPDX-License-Identifier: GPL-2.0-or-later
// The file system of pinned BPF objects.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

inline constexpr const char* bpffs_path = "/sys/fs/bpf";

bool has_bpffs();
// Refuses in the private mount namespace that `ip netns exec` makes, where the machine's bpffs is
// hidden and pins would be gone with the command.
Status require_visible_bpffs();
// Mounts a bpffs on /sys/fs/bpf if there is none; true if it did. Refuses where require_visible_bpffs()
// does.
Result<bool> mount_bpffs();
// Takes the mount away again unless something is pinned there.
Status unmount_bpffs();

// An interface name as a name in bpffs, where dots are reserved (bpf_lookup() in
// kernel/bpf/inode.c).
std::string pin_name(std::string_view interface);
std::string interface_of_pin(std::string_view name);

Status make_directory(const std::string& path);
// Names in a directory, sorted; none where there is no such directory.
Result<std::vector<std::string>> list_directory(const std::string& path);
// Both are content if there is nothing to remove; a directory must be empty.
Status remove_pin(const std::string& path);
Status remove_directory(const std::string& path);

// Opens a pinned map, program or link; an invalid Fd where there is none.
Result<Fd> open_pin(const std::string& path);
// Pins, or puts it in the place of what is pinned there in one step. A process that is killed in the
// middle leaves an unfinished pin, whose name is `path` and "~".
Status replace_pin(int fd, const std::string& path);
// The first half of that: makes the unfinished pin, in the place of an older one.
Status stage_pin(int fd, const std::string& path);
std::string unfinished(std::string_view path);
bool is_unfinished(std::string_view path);
// Renames a pin or a directory, in the place of what has that name.
Status rename_pin(const std::string& from, const std::string& to);

} // namespace linkbal
