// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/datapath.h"

#include <algorithm>
#include <cerrno>

#include <sys/stat.h>

#include "kernel/attachments.h"
#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/datapath_maps.h"
#include "kernel/datapath_settings.h"
#include "kernel/device_maps.h"
#include "kernel/interface_index.h"
#include "kernel/program_pins.h"
#include "kernel/xdp_link.h"

namespace linkbal {

namespace {

static_assert(static_cast<int>(Family::ipv4) == LB_IPV4);
static_assert(static_cast<int>(Family::ipv6) == LB_IPV6);

std::string_view bypass_name(Family family) {
    return family == Family::ipv4 ? "bypass4" : "bypass6";
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

// Devices that are gone are left out.
Status read_interfaces(const BpfObject& object, DatapathState& state) {
    const auto devices =
        read_devices(object.maps.at("devices"), object.maps.at("interfaces"), state.fast_path);
    if (!devices) {
        return tl::unexpected(devices.error());
    }
    auto uplinks = read_uplinks(object.maps.at("uplinks"), *devices);
    if (!uplinks) {
        return tl::unexpected(uplinks.error());
    }
    for (const auto& [ifindex, entry] : *devices) {
        if (entry.device.name.empty()) {
            continue;
        }
        state.devices.push_back(entry.device);
        if (entry.uplink == LB_NO_UPLINK) {
            state.lan_devices.push_back(entry.device.name);
        }
    }
    std::ranges::sort(state.devices);
    std::ranges::sort(state.lan_devices);
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
    state.conntrack_timeout = settings.has_timeout != 0;
    state.fast_path = settings.fast_path != 0;
    std::ranges::copy(settings.flow_buckets, state.flow_buckets.begin());
    state.tcp_timeout = settings.tcp_timeout;
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

// As the first that is there says; XDP is always a link.
bool uses_tcx(const ActualDatapath& actual) {
    for (const auto* list : {&actual.attachments, &actual.outdated}) {
        for (const Attachment& at : *list) {
            if (at.role != AttachRole::xdp) {
                return at.tcx;
            }
        }
    }
    return true;
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

Status Datapath::open_maps(std::initializer_list<std::pair<std::string_view, Fd*>> wanted) const {
    for (const auto& [name, fd] : wanted) {
        auto opened = map(name);
        if (!opened) {
            return tl::unexpected(opened.error());
        }
        *fd = *std::move(opened);
    }
    return {};
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
    actual.state.use_tcx = uses_tcx(actual);
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
    const auto settings = settings_for(desired, object_settings(*previous));
    return settings ? load_object(*settings, *previous) : tl::unexpected(settings.error());
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
    if (attachment.role == AttachRole::xdp) {
        return attach_xdp(directory_, attachment, *program);
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
    auto opened = open_maps({{"uplinks", &maps.names},
                             {"uplink_counters", &maps.counters},
                             {"handshake_counters", &maps.handshakes},
                             {"epochs", &maps.epochs}});
    if (!opened) {
        return opened;
    }
    return write_uplinks(maps, uplinks);
}

Status Datapath::end_epoch(uint32_t uplink_id) {
    const auto epochs = map("epochs");
    return epochs ? bump_epoch(*epochs, uplink_id) : tl::unexpected(epochs.error());
}

Status Datapath::set_devices(std::span<const std::string> lan_devices,
                             std::span<const DatapathUplink> uplinks,
                             std::span<const DatapathDevice> devices, MissingDevices missing) {
    DeviceMaps maps;
    auto opened = open_maps({{"devices", &maps.devices},
                             {"interfaces", &maps.interfaces},
                             {"redirects", &maps.redirects},
                             {"epochs", &maps.epochs}});
    if (!opened) {
        return opened;
    }
    const auto table =
        device_table(lan_devices, uplinks, devices, missing == MissingDevices::skipped);
    return table ? write_devices(maps, *table) : tl::unexpected(table.error());
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

} // namespace linkbal
