// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/bpf_object.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <fcntl.h>

#include <linkbal.skel.h>

#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/libbpf_log.h"
#include "kernel/program_pins.h"

namespace linkbal {

namespace {

using namespace std::string_view_literals;

constexpr auto settings_name = "settings"sv; // the object's .rodata.settings
constexpr std::array map_names{settings_name,
                               "buckets"sv,
                               "turns"sv,
                               "bypass4"sv,
                               "bypass6"sv,
                               "devices"sv,
                               "uplinks"sv,
                               "uplink_counters"sv,
                               "handshakes"sv,
                               "handshake_counters"sv,
                               "verdict_counters"sv,
                               "epochs"sv,
                               "fast_counters"sv,
                               "interfaces"sv,
                               "redirects"sv,
                               "flows_ipv4"sv,
                               "flows_ipv6"sv,
                               "tags_ipv4"sv,
                               "tags_ipv6"sv,
                               "lease"sv};
constexpr std::array program_names{"lb_classify"sv, "lb_count_tx"sv,    "lb_count_rx"sv,
                                   "lb_fast_lan"sv, "lb_fast_uplink"sv, "lb_fast_raw"sv,
                                   "lb_fast_xdp"sv};

using Skeleton = std::unique_ptr<linkbal_bpf, decltype(&linkbal_bpf::destroy)>;

std::string map_path(const std::string& directory, std::string_view name) {
    return fmt::format("{}/{}", directory, name);
}

bpf_map* find_map(const linkbal_bpf& skeleton, std::string_view name) {
    return name == settings_name
               ? skeleton.maps.rodata_settings
               : bpf_object__find_map_by_name(skeleton.obj, std::string(name).c_str());
}

bool is_compatible(const bpf_map* map, const bpf_map_info& there) {
    // dev_map_init_map() in kernel/bpf/devmap.c adds it by itself.
    const __u32 implied = there.type == BPF_MAP_TYPE_DEVMAP ? BPF_F_RDONLY_PROG : 0;
    return there.type == bpf_map__type(map) && there.key_size == bpf_map__key_size(map) &&
           there.value_size == bpf_map__value_size(map) &&
           there.max_entries == bpf_map__max_entries(map) &&
           (there.map_flags & ~implied) == bpf_map__map_flags(map);
}

// What a map of maps holds shows in its entries only: the kernel tells nothing of its template. One
// without entries is not worth taking over, and one whose entries can't be opened can't be read.
Result<bool> has_compatible_entries(const bpf_map* inner, const BpfObject& object,
                                    const Fd& outer) {
    auto all = has_all_inner_maps(object.inner, outer);
    if (!all || !*all) {
        return all;
    }
    bool any = false;
    for (const Fd& entry : object.inner) {
        if (!entry) {
            continue;
        }
        const auto there = map_info(entry);
        if (!there || !is_compatible(inner, *there)) {
            return there ? Result<bool>(false) : tl::unexpected(there.error());
        }
        any = true;
    }
    return any;
}

Result<bool> is_reusable(const linkbal_bpf& skeleton, const BpfObject& previous,
                         const std::string& name, const Fd& fd) {
    const bpf_map* map = find_map(skeleton, name);
    const auto there = map_info(fd);
    if (!there) {
        return tl::unexpected(there.error());
    }
    if (map == nullptr || !is_compatible(map, *there)) {
        return false;
    }
    bpf_map* inner = bpf_map__inner_map(find_map(skeleton, name));
    return inner == nullptr ? Result<bool>(true) : has_compatible_entries(inner, previous, fd);
}

// These tell of the same interfaces and go together: what one of them lacks could not be undone in the
// others.
constexpr std::array device_maps{"devices"sv, "uplinks"sv, "interfaces"sv, "redirects"sv};
// Flows name interfaces by their slots, and are of an epoch.
constexpr std::array flow_maps{"flows_ipv4"sv, "tags_ipv4"sv, "flows_ipv6"sv, "tags_ipv6"sv};
constexpr std::array flows_need{"interfaces"sv, "epochs"sv};

bool has_all(const MapNames& names, std::span<const std::string_view> group) {
    return std::ranges::all_of(group, [&](std::string_view name) { return names.contains(name); });
}

void erase(MapNames& names, std::span<const std::string_view> group) {
    for (const auto name : group) {
        names.erase(std::string(name));
    }
}

// The settings are part of the programs, so each load has its own.
Result<MapNames> reusable_maps(const linkbal_bpf& skeleton, const BpfObject& previous) {
    MapNames names;
    for (const auto& [name, fd] : previous.maps) {
        const auto fits = name == settings_name ? false : is_reusable(skeleton, previous, name, fd);
        if (!fits) {
            return tl::unexpected(fits.error());
        }
        if (*fits) {
            names.insert(name);
        }
    }
    if (!has_all(names, device_maps)) {
        erase(names, device_maps);
    }
    if (!has_all(names, flow_maps) || !has_all(names, flows_need)) {
        erase(names, flow_maps);
    }
    return names;
}

Status reuse_maps(const linkbal_bpf& skeleton, const BpfObject& previous) {
    const auto names = reusable_maps(skeleton, previous);
    if (!names) {
        return tl::unexpected(names.error());
    }
    for (const auto& name : *names) {
        const int fd = previous.maps.find(name)->second.get();
        if (const int error = bpf_map__reuse_fd(find_map(skeleton, name), fd); error != 0) {
            return fail_errno(-error, fmt::format("taking over the BPF map {}", name));
        }
    }
    return {};
}

// Flow tables are as large as the settings say.
Status set_sizes(const linkbal_bpf& skeleton, const lb_settings& settings) {
    const auto& maps = skeleton.maps;
    const std::array tables{std::tuple(maps.flows_ipv4, maps.tags_ipv4, LB_IPV4),
                            std::tuple(maps.flows_ipv6, maps.tags_ipv6, LB_IPV6)};
    for (const auto& [flows, tags, family] : tables) {
        const uint32_t buckets = std::max<uint32_t>(settings.flow_buckets[family], 1);
        const int error = bpf_map__set_max_entries(flows, buckets * LB_WAYS);
        const int second = error != 0 ? error : bpf_map__set_max_entries(tags, buckets);
        if (second != 0) {
            return fail_errno(-second, "setting the size of the flow cache");
        }
    }
    return {};
}

using Descriptors = std::map<std::string, Fd, std::less<>>;

Status take(Descriptors& descriptors, std::string_view name, int fd) {
    Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) {
        return fail_errno(errno, fmt::format("taking over the descriptor of {}", name));
    }
    descriptors.emplace(name, std::move(copy));
    return {};
}

Result<BpfObject> take_descriptors(const linkbal_bpf& skeleton,
                                   const std::map<std::string_view, bpf_map*>& maps) {
    BpfObject object;
    for (const auto& [name, map] : maps) {
        if (auto taken = take(object.maps, name, bpf_map__fd(map)); !taken) {
            return tl::unexpected(taken.error());
        }
    }
    for (const auto name : program_names) {
        const auto* program =
            bpf_object__find_program_by_name(skeleton.obj, std::string(name).c_str());
        if (auto taken = take(object.programs, name, bpf_program__fd(program)); !taken) {
            return tl::unexpected(taken.error());
        }
    }
    return object;
}

// libbpf looks for kernel functions that are not in the kernel itself in its modules, whose types are
// opened by their ids, for CAP_SYS_ADMIN only. Versions such as 1.1 fail where they may not, even if the
// function is weak and never called; later ones go on. It looks once: here, for one that does not exist
// and whose failure is of no account.
void pass_over_modules(const linkbal_bpf& skeleton) {
    (void)bpf_program__set_attach_target(skeleton.progs.lb_classify, 0, "lb_no_such_function");
}

// They get their names when the outer map has its own: until then those that it holds now keep them.
Status stage_inner_maps(const BpfObject& object, const std::string& directory) {
    const auto present = open_pin(map_path(directory, "buckets"));
    auto settled = !present   ? tl::unexpected(present.error())
                   : *present ? settle_inner_maps(directory, *present)
                              : Status();
    if (!settled) {
        return settled;
    }
    for (const Family family : families) {
        const Fd& inner = object.inner.at(static_cast<size_t>(family));
        const auto staged = inner ? stage_inner_map(directory, family, inner) : Status();
        if (!staged) {
            return staged;
        }
    }
    return {};
}

} // namespace

// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): it tells builds apart, no more.
uint64_t embedded_object_id() {
    static const uint64_t id = [] {
        size_t size = 0;
        const auto* bytes = static_cast<const uint8_t*>(linkbal_bpf::elf_bytes(&size));
        uint64_t hash = 0xcbf29ce484222325;
        for (size_t i = 0; i < size; ++i) {
            hash = (hash ^ bytes[i]) * 0x100000001b3;
        }
        return hash;
    }();
    return id;
}

Result<BpfObject> load_object(const lb_settings& settings, const BpfObject& previous) {
    const LibbpfLog log;
    const Skeleton skeleton(linkbal_bpf::open(), &linkbal_bpf::destroy);
    if (!skeleton) {
        return load_failure(errno, log);
    }
    // Before maps are taken over: that renames them to the 15 bytes that the kernel keeps.
    std::map<std::string_view, bpf_map*> maps;
    for (const auto name : map_names) {
        maps.emplace(name, find_map(*skeleton, name));
    }
    skeleton->rodata_settings->settings = settings;
    if (settings.has_conntrack == 0) {
        pass_over_modules(*skeleton);
    }
    if (const auto sized = set_sizes(*skeleton, settings); !sized) {
        return tl::unexpected(sized.error());
    }
    const bool same_abi = object_settings(previous).has_value();
    if (const auto reused = same_abi ? reuse_maps(*skeleton, previous) : Status(); !reused) {
        return tl::unexpected(reused.error());
    }
    if (const int error = linkbal_bpf::load(skeleton.get()); error != 0) {
        return load_failure(-error, log);
    }
    return take_descriptors(*skeleton, maps);
}

Result<MapNames> reusable_maps(const BpfObject& object) {
    if (!object_settings(object)) {
        return MapNames{};
    }
    const LibbpfLog log;
    const Skeleton skeleton(linkbal_bpf::open(), &linkbal_bpf::destroy);
    return skeleton ? reusable_maps(*skeleton, object) : load_failure(errno, log);
}

Result<BpfObject> open_object(const std::string& directory) {
    BpfObject object;
    const auto open = [](auto& into, std::string_view name, const std::string& path) -> Status {
        auto fd = open_pin(path);
        if (!fd) {
            return tl::unexpected(fd.error());
        }
        if (*fd) {
            into.emplace(name, std::move(*fd));
        }
        return {};
    };
    for (const auto name : map_names) {
        if (auto opened = open(object.maps, name, map_path(directory, name)); !opened) {
            return tl::unexpected(opened.error());
        }
    }
    if (const auto buckets = object.maps.find("buckets"); buckets != object.maps.end()) {
        auto inner = open_inner_maps(directory, buckets->second);
        if (!inner) {
            return tl::unexpected(inner.error());
        }
        object.inner = *std::move(inner);
    }
    for (const auto name : program_names) {
        if (auto opened = open(object.programs, name, program_path(directory, name)); !opened) {
            return tl::unexpected(opened.error());
        }
    }
    return object;
}

Status pin_object(const BpfObject& object, const std::string& directory) {
    for (const auto& path : {directory, program_directory(directory)}) {
        if (auto made = make_directory(path); !made) {
            return made;
        }
    }
    if (auto staged = stage_inner_maps(object, directory); !staged) {
        return staged;
    }
    for (const auto& [name, fd] : object.maps) {
        if (auto pinned = replace_pin(fd.get(), map_path(directory, name)); !pinned) {
            return pinned;
        }
    }
    for (const auto& [name, fd] : object.programs) {
        if (auto pinned = replace_pin(fd.get(), program_path(directory, name)); !pinned) {
            return pinned;
        }
    }
    const auto buckets = object.maps.find("buckets");
    return buckets == object.maps.end() ? Status() : settle_inner_maps(directory, buckets->second);
}

Status unpin_object(const std::string& directory) {
    const auto programs = program_directory(directory);
    const auto pins = list_directory(programs);
    if (!pins) {
        return tl::unexpected(pins.error());
    }
    for (const auto& name : *pins) {
        if (auto removed = remove_pin(fmt::format("{}/{}", programs, name)); !removed) {
            return removed;
        }
    }
    if (auto removed = remove_directory(programs); !removed) {
        return removed;
    }
    for (const auto name : map_names) {
        const auto path = map_path(directory, name);
        for (const auto& pin : {path, unfinished(path)}) {
            if (auto removed = remove_pin(pin); !removed) {
                return removed;
            }
        }
    }
    return unpin_inner_maps(directory);
}

std::optional<lb_settings> object_settings(const BpfObject& object) {
    const auto map = object.maps.find(settings_name);
    if (map == object.maps.end()) {
        return std::nullopt;
    }
    const auto info = map_info(map->second);
    if (!info || info->value_size != sizeof(lb_settings)) {
        return std::nullopt;
    }
    const auto settings = map_lookup<lb_settings>(map->second, uint32_t{0});
    if (!settings) {
        return std::nullopt;
    }
    const bool same_abi = settings->value_or(lb_settings{}).abi_version == LB_ABI_VERSION;
    return same_abi ? *settings : std::nullopt;
}

bool is_complete(const BpfObject& object) {
    if (object.maps.size() != map_names.size() || object.programs.size() != program_names.size()) {
        return false;
    }
    std::set<uint32_t> here;
    for (const auto& [name, map] : object.maps) {
        const auto info = map_info(map);
        here.insert(info ? info->id : 0);
    }
    return std::ranges::all_of(object.programs, [&](const auto& program) {
        return std::ranges::includes(here, used_maps(program.second));
    });
}

} // namespace linkbal
