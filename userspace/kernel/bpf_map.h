// SPDX-License-Identifier: GPL-2.0-or-later
// BPF maps with typed keys and values. Who calls knows that the sizes are the map's.
#pragma once

#include <cerrno>
#include <optional>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

inline Result<bpf_map_info> map_info(const Fd& map) {
    bpf_map_info info{};
    __u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(map.get(), &info, &size) != 0) {
        return fail_errno(errno, "asking for a BPF map");
    }
    return info;
}

inline tl::unexpected<Error> map_failure(const Fd& map, std::string_view what) {
    const int code = errno;
    const auto info = map_info(map);
    return fail_errno(code, fmt::format("{} BPF map {}", what, info ? info->name : "?"));
}

// nullopt where there is no such key.
template <typename Value, typename Key>
Result<std::optional<Value>> map_lookup(const Fd& map, const Key& key) {
    Value value{};
    if (bpf_map_lookup_elem(map.get(), &key, &value) == 0) {
        return value;
    }
    if (errno == ENOENT) {
        return std::nullopt;
    }
    return map_failure(map, "reading");
}

template <typename Key, typename Value>
Status map_update(const Fd& map, const Key& key, const Value& value) {
    if (bpf_map_update_elem(map.get(), &key, &value, BPF_ANY) != 0) {
        return map_failure(map, "writing");
    }
    return {};
}

// Content if there is no such key.
template <typename Key>
Status map_delete(const Fd& map, const Key& key) {
    if (bpf_map_delete_elem(map.get(), &key) != 0 && errno != ENOENT) {
        return map_failure(map, "deleting from");
    }
    return {};
}

template <typename Key>
Result<std::vector<Key>> map_keys(const Fd& map) {
    std::vector<Key> keys;
    Key next{};
    while (bpf_map_get_next_key(map.get(), keys.empty() ? nullptr : &keys.back(), &next) == 0) {
        keys.push_back(next);
    }
    if (errno != ENOENT) {
        return map_failure(map, "listing");
    }
    return keys;
}

// One value for each possible CPU; Value must be a multiple of 8 bytes, as the kernel pads them.
template <typename Value>
Result<std::vector<Value>> map_lookup_per_cpu(const Fd& map, uint32_t key) {
    static_assert(sizeof(Value) % 8 == 0);
    std::vector<Value> values(static_cast<size_t>(libbpf_num_possible_cpus()));
    if (bpf_map_lookup_elem(map.get(), &key, values.data()) != 0) {
        return map_failure(map, "reading");
    }
    return values;
}

} // namespace linkbal
