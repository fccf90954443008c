// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/datapath.h"

#include <algorithm>
#include <bit>
#include <cerrno>

#include <sys/random.h>
#include <sys/stat.h>

#include "kernel/attachments.h"
#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/datapath_maps.h"
#include "kernel/interface_index.h"
#include "kernel/program_pins.h"

namespace linkbal {

namespace {

static_assert(static_cast<int>(HashMode::connection) == LB_HASH_CONNECTION);
static_assert(static_cast<int>(HashMode::source) == LB_HASH_SOURCE);
static_assert(static_cast<int>(HashMode::destination) == LB_HASH_DESTINATION);
static_assert(static_cast<int>(HashMode::source_destination) == LB_HASH_SOURCE_DESTINATION);
static_assert(static_cast<int>(Family::ipv4) == LB_IPV4);
static_assert(static_cast<int>(Family::ipv6) == LB_IPV6);

std::string_view bypass_name(Family family) {
    return family == Family::ipv4 ? "bypass4" : "bypass6";
}

Result<uint32_t> random_seed() {
    uint32_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        return fail_errno(errno, "asking for a random number");
    }
    return seed;
}

uint32_t program_id(const Fd& program) {
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    return bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 ? info.id : 0;
}

Status read_attachments(const std::string& directory, const BpfObject& object,
                        ActualDatapath& actual) {
    const auto found = find_attachments(directory);
    if (!found) {
        return tl::unexpected(found.error());
    }
    for (const auto& [attachment, id, unfinished] : *found) {
        const auto program = object.programs.find(attach_program(attachment.role));
        const bool ours = id != 0 && !unfinished && program != object.programs.end() &&
                          program_id(program->second) == id;
        (ours ? actual.attachments : actual.outdated).push_back(attachment);
    }
    std::ranges::sort(actual.attachments);
    std::ranges::sort(actual.outdated);
    return {};
}

Result<std::set<uint32_t>> running_programs(const std::string& directory) {
    const auto found = find_attachments(directory);
    if (!found) {
        return tl::unexpected(found.error());
    }
    std::set<uint32_t> ids;
    std::ranges::transform(*found, std::inserter(ids, ids.end()), &FoundAttachment::program_id);
    return ids;
}

Result<std::vector<std::string>> lan_names(const DeviceTable& devices) {
    std::vector<std::string> names;
    for (const auto& [ifindex, uplink] : devices) {
        auto name = uplink == LB_NO_UPLINK ? interface_name(ifindex) : std::string();
        if (!name) {
            return tl::unexpected(name.error());
        }
        if (!name->empty()) {
            names.push_back(*std::move(name));
        }
    }
    std::ranges::sort(names);
    return names;
}

Status read_interfaces(const BpfObject& object, DatapathState& state) {
    const auto devices = read_devices(object.maps.at("devices"));
    if (!devices) {
        return tl::unexpected(devices.error());
    }
    auto lan = lan_names(*devices);
    auto uplinks = read_uplinks(object.maps.at("uplinks"), *devices);
    if (!lan || !uplinks) {
        return tl::unexpected(lan ? uplinks.error() : lan.error());
    }
    state.lan_devices = *std::move(lan);
    state.uplinks = *std::move(uplinks);
    return {};
}

// Maps that are not in `readable` are left empty.
Status read_family(const BpfObject& object, const MapNames& readable, Family family,
                   DatapathState& state) {
    const auto name = bypass_name(family);
    auto buckets = readable.contains("buckets")
                       ? read_buckets(object.inner.at(static_cast<size_t>(family)))
                       : BucketAssignment{};
    const auto bypass = readable.contains(name)
                            ? read_bypass(object.maps.find(name)->second, family)
                            : std::vector<Prefix>{};
    if (!buckets || !bypass) {
        return tl::unexpected(buckets ? bypass.error() : buckets.error());
    }
    state.buckets.at(static_cast<size_t>(family)) = *std::move(buckets);
    state.bypass.insert(state.bypass.end(), bypass->begin(), bypass->end());
    return {};
}

MapNames all_maps(const BpfObject& object) {
    MapNames names;
    for (const auto& [name, map] : object.maps) {
        names.insert(name);
    }
    return names;
}

// What load() would not take over counts as empty: the new maps will be.
Status read_state(const BpfObject& object, const lb_settings& settings, bool current,
                  DatapathState& state) {
    state.mark_mask = settings.mark_mask;
    state.hash = static_cast<HashMode>(settings.hash_mode);
    state.conntrack_lookup = settings.has_conntrack != 0;
    const auto readable = current ? all_maps(object) : reusable_maps(object);
    if (!readable) {
        return tl::unexpected(readable.error());
    }
    auto filled = readable->contains("devices") ? read_interfaces(object, state) : Status();
    for (const Family family : families) {
        filled = filled.and_then([&] { return read_family(object, *readable, family, state); });
    }
    std::ranges::sort(state.bypass);
    return filled;
}

void add(lb_uplink_counters& sum, const lb_uplink_counters& part) {
    sum.tx_packets += part.tx_packets;
    sum.tx_bytes += part.tx_bytes;
    sum.rx_packets += part.rx_packets;
    sum.rx_bytes += part.rx_bytes;
    sum.picks += part.picks;
}

void add(lb_verdict_counters& sum, const lb_verdict_counters& part) {
    sum.packets += part.packets;
    sum.bytes += part.bytes;
}

template <typename Counters, size_t size>
Status sum_counters(const Fd& map, std::array<Counters, size>& sums) {
    const auto info = map_info(map);
    if (!info || info->value_size != sizeof(Counters) || info->max_entries != size) {
        return info ? fail("the BPF map {} is another version's: run `linkbal up`", info->name)
                    : tl::unexpected(info.error());
    }
    for (uint32_t key = 0; key < size; ++key) {
        const auto parts = map_lookup_per_cpu<Counters>(map, key);
        if (!parts) {
            return tl::unexpected(parts.error());
        }
        std::ranges::for_each(*parts, [&](const auto& part) { add(sums.at(key), part); });
    }
    return {};
}

} // namespace

Datapath::Datapath(std::string instance)
    : directory_(fmt::format("{}/{}", bpffs_path, std::move(instance))) {}

Result<BpfObject> Datapath::pinned() const { return open_object(directory_); }

Result<Fd> Datapath::map(std::string_view name) const {
    auto fd = open_pin(fmt::format("{}/{}", directory_, name));
    if (fd && !*fd) {
        return fail("{}/{} is missing: the datapath is not loaded", directory_, name);
    }
    return fd;
}

Result<std::optional<ActualDatapath>> Datapath::read() const {
    struct stat info{};
    if (stat(directory_.c_str(), &info) != 0) {
        return std::nullopt;
    }
    const auto object = pinned();
    if (!object) {
        return tl::unexpected(object.error());
    }
    ActualDatapath actual;
    if (auto found = read_attachments(directory_, *object, actual); !found) {
        return tl::unexpected(found.error());
    }
    const auto& first = actual.attachments.empty() ? actual.outdated : actual.attachments;
    actual.state.use_tcx = first.empty() || first.front().tcx;
    const auto settings = object_settings(*object);
    if (!settings || !is_complete(*object)) {
        return actual;
    }
    const auto all_buckets = has_all_inner_maps(object->inner, object->maps.at("buckets"));
    if (!all_buckets) {
        return tl::unexpected(all_buckets.error());
    }
    actual.current = settings->object_id == embedded_object_id() && *all_buckets;
    if (auto filled = read_state(*object, *settings, actual.current, actual.state); !filled) {
        return tl::unexpected(filled.error());
    }
    return actual;
}

Result<BpfObject> Datapath::load(const DatapathState& desired) const {
    const auto previous = pinned();
    if (!previous) {
        return tl::unexpected(previous.error());
    }
    const auto former = object_settings(*previous);
    const auto seed = former ? Result<uint32_t>(former->hash_seed) : random_seed();
    if (!seed) {
        return tl::unexpected(seed.error());
    }
    const lb_settings settings{
        .object_id = embedded_object_id(),
        .abi_version = LB_ABI_VERSION,
        .hash_seed = *seed,
        .mark_mask = desired.mark_mask,
        .mark_shift = static_cast<__u8>(std::countr_zero(desired.mark_mask)),
        .hash_mode = static_cast<__u8>(desired.hash),
        .has_conntrack = static_cast<__u8>(desired.conntrack_lookup ? 1 : 0),
        .fast_path = 0,
        .flow_buckets = {1, 1},
        .ticks_per_second = 1,
        .tcp_timeout = 0,
        .tag = 1,
        .tick_shift = 0,
        .has_xfrm = 0,
        .has_timeout = 0,
        .padding = {},
    };
    return load_object(settings, *previous);
}

Result<BpfObject> Datapath::install(const BpfObject& object) {
    auto former = pinned();
    if (!former) {
        return former;
    }
    const auto kept = running_programs(directory_).and_then([&](const auto& running) {
        return release_former_programs(directory_, running).and_then([&] {
            return keep_former_programs(directory_, running);
        });
    });
    if (!kept) {
        return tl::unexpected(kept.error());
    }
    if (auto installed = pin_object(object, directory_); !installed) {
        (void)(former->empty() ? remove() : pin_object(*former, directory_));
        return tl::unexpected(installed.error());
    }
    return former;
}

Status Datapath::attach(const Attachment& attachment) {
    const auto program = map(fmt::format("programs/{}", attach_program(attachment.role)));
    if (!program) {
        return tl::unexpected(program.error());
    }
    return attach_to_device(directory_, attachment, *program);
}

Result<Fd> Datapath::attached_program(const Attachment& attachment) const {
    return linkbal::attached_program(directory_, attachment);
}

Status Datapath::put_back(const Attachment& attachment, const Fd& program) {
    const auto ifindex = interface_index(attachment.device);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    return program && *ifindex != 0 ? attach_to_device(directory_, attachment, program)
                                    : detach(attachment);
}

Status Datapath::detach(const Attachment& attachment) {
    return detach_from_device(directory_, attachment);
}

Status Datapath::set_buckets(Family family, const BucketAssignment& assignment) {
    const auto buckets = map("buckets");
    return buckets ? write_buckets(directory_, *buckets, family, assignment)
                   : tl::unexpected(buckets.error());
}

Status Datapath::set_bypass(std::span<const Prefix> prefixes) {
    for (const Family family : families) {
        const auto bypass = map(bypass_name(family));
        if (!bypass) {
            return tl::unexpected(bypass.error());
        }
        if (auto written = write_bypass(*bypass, family, prefixes); !written) {
            return written;
        }
    }
    return {};
}

Status Datapath::set_uplinks(std::span<const DatapathUplink> uplinks) {
    UplinkMaps maps;
    const std::map<std::string_view, Fd*> wanted{{"uplinks", &maps.names},
                                                 {"uplink_counters", &maps.counters},
                                                 {"handshake_counters", &maps.handshakes},
                                                 {"epochs", &maps.epochs}};
    for (const auto& [name, fd] : wanted) {
        auto opened = map(name);
        if (!opened) {
            return tl::unexpected(opened.error());
        }
        *fd = *std::move(opened);
    }
    return write_uplinks(maps, uplinks);
}

Status Datapath::end_epoch(uint32_t uplink_id) {
    const auto epochs = map("epochs");
    return epochs ? bump_epoch(*epochs, uplink_id) : tl::unexpected(epochs.error());
}

Status Datapath::set_devices(std::span<const std::string> lan_devices,
                             std::span<const DatapathUplink> uplinks, MissingDevices missing) {
    const auto fd = map("devices");
    const auto table = device_table(lan_devices, uplinks, missing == MissingDevices::skipped);
    if (!fd || !table) {
        return tl::unexpected(fd ? table.error() : fd.error());
    }
    return write_devices(*fd, *table);
}

Status Datapath::tidy() {
    const auto former = has_former_programs(directory_);
    if (!former || !*former) {
        return former ? Status() : tl::unexpected(former.error());
    }
    return running_programs(directory_).and_then([&](const auto& running) {
        return release_former_programs(directory_, running);
    });
}

Status Datapath::remove() {
    if (auto detached = detach_all(directory_); !detached) {
        return detached;
    }
    if (auto unpinned = unpin_object(directory_); !unpinned) {
        return unpinned;
    }
    return remove_directory(directory_);
}

Result<DatapathCounters> Datapath::counters() const {
    DatapathCounters counters;
    const auto uplinks = map("uplink_counters");
    const auto verdicts = map("verdict_counters");
    if (!uplinks || !verdicts) {
        return tl::unexpected(uplinks ? verdicts.error() : uplinks.error());
    }
    const auto summed = sum_counters(*uplinks, counters.uplinks).and_then([&] {
        return sum_counters(*verdicts, counters.verdicts);
    });
    if (!summed) {
        return tl::unexpected(summed.error());
    }
    return counters;
}

} // namespace linkbal
