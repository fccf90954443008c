// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/bucket_maps.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>

#include <bpf/btf.h>

#include "core/buckets.h"
#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/libbpf_log.h"

namespace linkbal {

namespace {

using Btf = std::unique_ptr<btf, decltype(&btf__free)>;

std::string pin_path(const std::string& directory, Family family) {
    return fmt::format("{}/buckets_{}", directory, family == Family::ipv4 ? "ipv4" : "ipv6");
}

// 0 where there is none. Of another version the map may be anything.
Result<uint32_t> held_id(const Fd& buckets, Family family) {
    const auto info = map_info(buckets);
    if (!info) {
        return tl::unexpected(info.error());
    }
    if (info->type != BPF_MAP_TYPE_ARRAY_OF_MAPS || info->key_size != sizeof(uint32_t)) {
        return 0;
    }
    const auto id = map_lookup<uint32_t>(buckets, static_cast<uint32_t>(family));
    return id ? Result<uint32_t>(id->value_or(0)) : tl::unexpected(id.error());
}

// The map pinned at `path` if it is the one of this id.
Result<Fd> open_pin_of(const std::string& path, uint32_t id) {
    auto map = open_pin(path);
    if (!map || !*map) {
        return map;
    }
    const auto info = map_info(*map);
    if (!info) {
        return tl::unexpected(info.error());
    }
    return info->id == id ? std::move(map) : Fd();
}

// The unfinished pin first: it is renamed to the other at any time.
Result<Fd> open_pinned(const std::string& path, uint32_t id) {
    auto map = open_pin_of(unfinished(path), id);
    return map && !*map ? open_pin_of(path, id) : std::move(map);
}

// By id, for CAP_SYS_ADMIN: versions that pinned no inner maps needed it as well.
Result<Fd> open_unpinned(uint32_t id) {
    Fd map(bpf_map_get_fd_by_id(id));
    if (!map && errno != EPERM && errno != ENOENT) {
        return fail_errno(errno, "opening a BPF map of buckets");
    }
    return map;
}

// Somebody may be switching over meanwhile, who renames the pin before it is looked at.
Result<Fd> open_inner_map(const std::string& directory, const Fd& buckets, Family family) {
    auto id = held_id(buckets, family);
    for (int attempt = 0; id && *id != 0 && attempt < 8; ++attempt) {
        auto map = open_pinned(pin_path(directory, family), *id);
        if (!map || *map) {
            return map;
        }
        const auto now = held_id(buckets, family);
        if (now && *now == *id) {
            return open_unpinned(*id);
        }
        id = now;
    }
    return id ? Result<Fd>(Fd()) : tl::unexpected(id.error());
}

Status settle(const std::string& path, uint32_t id) {
    const auto next = unfinished(path);
    const auto staged = open_pin_of(next, id);
    if (!staged) {
        return tl::unexpected(staged.error());
    }
    if (*staged) {
        return rename_pin(next, path);
    }
    if (auto removed = remove_pin(next); !removed) {
        return removed;
    }
    const auto settled = open_pin_of(path, id);
    if (!settled) {
        return tl::unexpected(settled.error());
    }
    return *settled ? Status() : remove_pin(path);
}

// The types of abi.h, for readers such as bpftool: made anew each time, since the kernel opens those
// that are loaded by their id, for CAP_SYS_ADMIN only.
Result<Btf> load_types(bpf_map_create_opts& options) {
    const LibbpfLog quiet; // what fails is told by the result
    Btf types(btf__new_empty(), &btf__free);
    if (!types) {
        return fail_errno(errno, "making the types of a BPF map for buckets");
    }
    const int word = btf__add_int(types.get(), "__u32", sizeof(uint32_t), 0);
    const int half = btf__add_int(types.get(), "__u16", sizeof(uint16_t), 0);
    const int array = btf__add_array(types.get(), word, half, LB_BUCKETS);
    const int value = btf__add_struct(types.get(), "lb_buckets", sizeof(lb_buckets));
    btf__add_field(types.get(), "uplink", array, offsetof(lb_buckets, uplink) * 8, 0);
    btf__add_field(types.get(), "order", array, offsetof(lb_buckets, order) * 8, 0);
    if (const int error = btf__load_into_kernel(types.get()); error != 0) {
        return fail_errno(-error, "loading the types of a BPF map for buckets");
    }
    options.btf_fd = static_cast<__u32>(btf__fd(types.get()));
    options.btf_key_type_id = static_cast<__u32>(word);
    options.btf_value_type_id = static_cast<__u32>(value);
    return types;
}

Result<Fd> make_inner_map(const BucketAssignment& assignment) {
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    const auto types = load_types(options); // holds the descriptor in the options
    if (!types) {
        return tl::unexpected(types.error());
    }
    Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "lb_buckets", sizeof(uint32_t), sizeof(lb_buckets), 1,
                          &options));
    if (!map) {
        return fail_errno(errno, "making a BPF map for buckets");
    }
    const auto table = std::make_unique<lb_buckets>();
    std::ranges::copy(assignment, std::begin(table->uplink));
    std::ranges::copy(interleave(assignment), std::begin(table->order));
    if (auto filled = map_update(map, uint32_t{0}, *table); !filled) {
        return tl::unexpected(filled.error());
    }
    return map;
}

} // namespace

Result<InnerMaps> open_inner_maps(const std::string& directory, const Fd& buckets) {
    InnerMaps inner;
    for (const Family family : families) {
        auto map = open_inner_map(directory, buckets, family);
        if (!map) {
            return tl::unexpected(map.error());
        }
        inner.at(static_cast<size_t>(family)) = *std::move(map);
    }
    return inner;
}

Result<bool> has_all_inner_maps(const InnerMaps& inner, const Fd& buckets) {
    for (const Family family : families) {
        const auto id = held_id(buckets, family);
        if (!id) {
            return tl::unexpected(id.error());
        }
        if (*id != 0 && !inner.at(static_cast<size_t>(family))) {
            return false;
        }
    }
    return true;
}

Status stage_inner_map(const std::string& directory, Family family, const Fd& inner) {
    return stage_pin(inner.get(), pin_path(directory, family));
}

Status settle_inner_maps(const std::string& directory, const Fd& buckets) {
    for (const Family family : families) {
        const auto id = held_id(buckets, family);
        const auto settled =
            id ? settle(pin_path(directory, family), *id) : tl::unexpected(id.error());
        if (!settled) {
            return settled;
        }
    }
    return {};
}

Status unpin_inner_maps(const std::string& directory) {
    for (const Family family : families) {
        const auto path = pin_path(directory, family);
        for (const auto& pin : {path, unfinished(path)}) {
            if (auto removed = remove_pin(pin); !removed) {
                return removed;
            }
        }
    }
    return {};
}

Status write_buckets(const std::string& directory, const Fd& buckets, Family family,
                     const BucketAssignment& assignment) {
    const auto key = static_cast<uint32_t>(family);
    if (!assignment.empty() && assignment.size() != LB_BUCKETS) {
        return fail("{} buckets instead of {}", assignment.size(), LB_BUCKETS);
    }
    // What a killed process left may be what counts, and must not be overwritten.
    if (auto settled = settle_inner_maps(directory, buckets); !settled) {
        return settled;
    }
    auto switched = Status();
    if (assignment.empty()) {
        switched = map_delete(buckets, key);
    } else {
        const auto inner = make_inner_map(assignment);
        if (!inner) {
            return tl::unexpected(inner.error());
        }
        switched = stage_inner_map(directory, family, *inner).and_then([&] {
            return map_update(buckets, key, inner->get());
        });
    }
    const auto settled = settle_inner_maps(directory, buckets);
    return switched ? settled : switched; // the first error is the one to report
}

Result<BucketAssignment> read_buckets(const Fd& inner) {
    if (!inner) {
        return BucketAssignment{};
    }
    const auto table = std::make_unique<lb_buckets>();
    const uint32_t zero = 0;
    if (bpf_map_lookup_elem(inner.get(), &zero, table.get()) != 0) {
        return map_failure(inner, "reading");
    }
    return BucketAssignment(std::begin(table->uplink), std::end(table->uplink));
}

} // namespace linkbal
