// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/datapath_maps.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "kernel/bpf_map.h"
#include "kernel/interface_index.h"

namespace linkbal {

namespace {

template <typename Key>
Key prefix_key(const Prefix& prefix) {
    Key key{};
    key.length = prefix.length();
    std::ranges::copy(prefix.address().bytes(), std::begin(key.address));
    return key;
}

template <typename Key>
Result<std::vector<Prefix>> read_prefixes(const Fd& bypass) {
    const auto keys = map_keys<Key>(bypass);
    if (!keys) {
        return tl::unexpected(keys.error());
    }
    std::vector<Prefix> prefixes;
    for (const auto& key : *keys) {
        prefixes.emplace_back(IpAddress(std::span<const uint8_t>(key.address)), key.length);
    }
    std::ranges::sort(prefixes);
    return prefixes;
}

template <typename Key>
Status write_prefixes(const Fd& bypass, const std::set<Prefix>& wanted) {
    const auto present = read_prefixes<Key>(bypass);
    if (!present) {
        return tl::unexpected(present.error());
    }
    for (const auto& prefix : wanted) {
        const bool there = std::ranges::binary_search(*present, prefix);
        const auto added =
            there ? Status() : map_update(bypass, prefix_key<Key>(prefix), uint8_t{1});
        if (!added) {
            return tl::unexpected(added.error().within(prefix.str()));
        }
    }
    for (const auto& prefix : *present) {
        const auto deleted =
            wanted.contains(prefix) ? Status() : map_delete(bypass, prefix_key<Key>(prefix));
        if (!deleted) {
            return tl::unexpected(deleted.error().within(prefix.str()));
        }
    }
    return {};
}

void copy_name(std::span<char, LB_NAME_SIZE> to, const std::string& from) {
    std::memcpy(to.data(), from.data(), std::min(from.size(), to.size() - 1));
}

Result<lb_uplink> uplink_entry(const DatapathUplink& uplink) {
    const auto ifindex = interface_index(uplink.device);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    lb_uplink entry{};
    copy_name(entry.name, uplink.name);
    copy_name(entry.interface, uplink.device);
    entry.ifindex = *ifindex;
    entry.weight = uplink.weight;
    return entry;
}

bool is_same(const lb_uplink& a, const lb_uplink& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

Result<DatapathUplink> uplink_value(uint32_t id, const lb_uplink& entry,
                                    const DeviceTable& devices) {
    const auto ifindex = interface_index(entry.interface);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    const auto device = devices.find(entry.ifindex);
    const bool alive =
        device != devices.end() && device->second.uplink == id && *ifindex == entry.ifindex;
    return DatapathUplink{id, entry.name, alive ? entry.interface : "", entry.weight};
}

// The id belongs to another uplink now.
Status begin_anew(const UplinkMaps& maps, uint32_t id) {
    const std::vector<lb_uplink_counters> zero(static_cast<size_t>(libbpf_num_possible_cpus()));
    if (bpf_map_update_elem(maps.counters.get(), &id, zero.data(), BPF_ANY) != 0) {
        return map_failure(maps.counters, "clearing");
    }
    for (uint32_t family = 0; family < LB_FAMILIES; ++family) {
        const uint32_t key = (id * LB_FAMILIES) + family;
        if (auto cleared = map_update(maps.handshakes, key, lb_handshake_counters{}); !cleared) {
            return cleared;
        }
    }
    return bump_epoch(maps.epochs, id);
}

} // namespace

Status write_bypass(const Fd& bypass, Family family, std::span<const Prefix> prefixes) {
    std::set<Prefix> wanted;
    std::ranges::copy_if(prefixes, std::inserter(wanted, wanted.end()),
                         [&](const Prefix& prefix) { return prefix.family() == family; });
    return family == Family::ipv4 ? write_prefixes<lb_prefix4>(bypass, wanted)
                                  : write_prefixes<lb_prefix6>(bypass, wanted);
}

Result<std::vector<Prefix>> read_bypass(const Fd& bypass, Family family) {
    return family == Family::ipv4 ? read_prefixes<lb_prefix4>(bypass)
                                  : read_prefixes<lb_prefix6>(bypass);
}

Status write_uplinks(const UplinkMaps& maps, std::span<const DatapathUplink> wanted) {
    for (uint32_t id = 1; id < LB_UPLINK_IDS; ++id) {
        const auto uplink = std::ranges::find(wanted, id, &DatapathUplink::id);
        const auto entry = uplink == wanted.end() ? lb_uplink{} : uplink_entry(*uplink);
        const auto there = map_lookup<lb_uplink>(maps.names, id);
        if (!entry || !there) {
            return tl::unexpected(entry ? there.error() : entry.error());
        }
        const lb_uplink former = there->value_or(lb_uplink{}); // an array has them all
        if (is_same(former, *entry)) {
            continue;
        }
        if (auto written = map_update(maps.names, id, *entry); !written) {
            return written;
        }
        const bool renamed = std::strncmp(former.name, entry->name, LB_NAME_SIZE) != 0;
        if (const auto begun = renamed ? begin_anew(maps, id) : Status(); !begun) {
            return begun;
        }
    }
    return {};
}

Status bump_epoch(const Fd& epochs, uint32_t uplink_id) {
    const auto epoch = map_lookup<uint32_t>(epochs, uplink_id);
    return epoch ? map_update(epochs, uplink_id, epoch->value_or(0) + 1)
                 : tl::unexpected(epoch.error());
}

Status bump_epochs(const Fd& epochs) {
    for (uint32_t id = 0; id < LB_UPLINK_IDS; ++id) {
        if (auto bumped = bump_epoch(epochs, id); !bumped) {
            return bumped;
        }
    }
    return {};
}

Result<std::vector<DatapathUplink>> read_uplinks(const Fd& uplinks, const DeviceTable& devices) {
    std::vector<DatapathUplink> found;
    for (uint32_t id = 1; id < LB_UPLINK_IDS; ++id) {
        const auto entry = map_lookup<lb_uplink>(uplinks, id);
        if (!entry) {
            return tl::unexpected(entry.error());
        }
        const lb_uplink there = entry->value_or(lb_uplink{});
        if (there.name[0] == '\0') {
            continue;
        }
        auto value = uplink_value(id, there, devices);
        if (!value) {
            return tl::unexpected(value.error());
        }
        found.push_back(*std::move(value));
    }
    return found;
}

} // namespace linkbal
