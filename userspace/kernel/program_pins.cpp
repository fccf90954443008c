// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/program_pins.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include <bpf/bpf.h>

#include "kernel/bpffs.h"

namespace linkbal {

namespace {

constexpr char former_mark = '@';

bool is_former(std::string_view name) { return name.find(former_mark) != std::string_view::npos; }

Result<ProgramPin> describe(std::string path, Fd program, bool former) {
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) {
        return fail_errno(errno, "asking for a BPF program");
    }
    return ProgramPin{std::move(path), info.name, info.id, std::move(program), former};
}

} // namespace

std::set<uint32_t> used_maps(const Fd& program) {
    std::array<__u32, 64> ids{};
    bpf_prog_info info{};
    info.nr_map_ids = ids.size();
    info.map_ids = reinterpret_cast<__u64>(ids.data());
    __u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) {
        return {0}; // an id that no map has
    }
    return {ids.begin(), ids.begin() + std::min<size_t>(info.nr_map_ids, ids.size())};
}

std::string program_directory(const std::string& directory) { return directory + "/programs"; }
std::string program_path(const std::string& directory, std::string_view name) {
    return fmt::format("{}/{}", program_directory(directory), name);
}

Result<std::vector<ProgramPin>> read_program_pins(const std::string& directory) {
    const auto parent = program_directory(directory);
    const auto names = list_directory(parent);
    if (!names) {
        return tl::unexpected(names.error());
    }
    std::vector<ProgramPin> pins;
    for (const auto& name : *names) {
        const auto path = fmt::format("{}/{}", parent, name);
        auto program = is_unfinished(name) ? Fd() : open_pin(path);
        if (!program) {
            return tl::unexpected(program.error());
        }
        if (!*program) {
            continue;
        }
        auto pin = describe(path, *std::move(program), is_former(name));
        if (!pin) {
            return tl::unexpected(pin.error());
        }
        pins.push_back(*std::move(pin));
    }
    return pins;
}

Result<ProgramPin*> find_program(std::vector<ProgramPin>& pins, uint32_t id) {
    const auto known = std::ranges::find(pins, id, &ProgramPin::id);
    if (known != pins.end() || id == 0) {
        return known == pins.end() ? nullptr : &*known;
    }
    Fd program(bpf_prog_get_fd_by_id(id));
    if (!program) {
        return errno == ENOENT || errno == EPERM
                   ? Result<ProgramPin*>(nullptr)
                   : fail_errno(errno, fmt::format("opening the BPF program {}", id));
    }
    auto pin = describe({}, std::move(program), true);
    if (!pin) {
        return tl::unexpected(pin.error());
    }
    pins.push_back(*std::move(pin));
    return &pins.back();
}

Result<bool> has_former_programs(const std::string& directory) {
    const auto names = list_directory(program_directory(directory));
    return names ? Result<bool>(std::ranges::any_of(*names, is_former))
                 : tl::unexpected(names.error());
}

Status keep_former_programs(const std::string& directory, const std::set<uint32_t>& running) {
    const auto pins = read_program_pins(directory);
    if (!pins) {
        return tl::unexpected(pins.error());
    }
    for (const auto& pin : *pins) {
        if (pin.former || !running.contains(pin.id)) {
            continue;
        }
        const auto kept = fmt::format("{}{}{}", pin.path, former_mark, pin.id);
        // An id is not given again as long as a pin holds the program: what is there is this one.
        if (bpf_obj_pin(pin.program.get(), kept.c_str()) != 0 && errno != EEXIST) {
            return fail_errno(errno, fmt::format("pinning {}", kept));
        }
    }
    return {};
}

Status release_former_programs(const std::string& directory, const std::set<uint32_t>& running) {
    const auto pins = read_program_pins(directory);
    if (!pins) {
        return tl::unexpected(pins.error());
    }
    std::set<uint32_t> needed = running;
    for (const auto& pin : *pins) {
        if (!pin.former) {
            needed.erase(pin.id);
        }
    }
    for (const auto& pin : *pins) {
        const bool unneeded = pin.former && !needed.contains(pin.id);
        if (const auto removed = unneeded ? remove_pin(pin.path) : Status(); !removed) {
            return removed;
        }
    }
    return {};
}

} // namespace linkbal
