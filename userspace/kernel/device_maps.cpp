// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/device_maps.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <cstring>

#include "kernel/bpf_map.h"
#include "kernel/datapath_maps.h"
#include "kernel/interface_index.h"

namespace linkbal {

namespace {

lb_interface interface_entry(uint32_t ifindex, const DeviceEntry& entry) {
    lb_interface made{};
    made.ifindex = ifindex;
    std::ranges::copy(entry.device.mtu, std::begin(made.mtu));
    std::ranges::copy(entry.device.mac, std::begin(made.mac));
    made.uplink = static_cast<__u8>(entry.uplink);
    made.ethernet = entry.device.ethernet ? 1 : 0;
    made.xdp = entry.device.forwarding == Forwarding::xdp ? 1 : 0;
    return made;
}

DatapathDevice device_value(std::string name, const lb_interface& interface, bool fast_path) {
    DatapathDevice device{.name = std::move(name)};
    device.forwarding = !fast_path           ? Forwarding::classify
                        : interface.xdp != 0 ? Forwarding::xdp
                                             : Forwarding::tc;
    device.ethernet = interface.ethernet != 0;
    std::ranges::copy(interface.mac, device.mac.begin());
    std::ranges::copy(interface.mtu, device.mtu.begin());
    return device;
}

template <typename T>
bool is_same(const T& a, const T& b) {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// An array has every key that is in its range.
Result<lb_interface> read_interface(const Fd& interfaces, uint32_t slot) {
    const auto found = map_lookup<lb_interface>(interfaces, slot);
    return found ? Result<lb_interface>(found->value_or(lb_interface{}))
                 : tl::unexpected(found.error());
}

Result<std::map<uint32_t, lb_device>> read_slots(const Fd& devices) {
    const auto keys = map_keys<uint32_t>(devices);
    if (!keys) {
        return tl::unexpected(keys.error());
    }
    std::map<uint32_t, lb_device> found;
    for (const uint32_t ifindex : *keys) {
        const auto device = map_lookup<lb_device>(devices, ifindex);
        if (!device) {
            return tl::unexpected(device.error());
        }
        if (device->has_value()) {
            found[ifindex] = device->value_or(lb_device{});
        }
    }
    return found;
}

// One writing of the maps.
class DeviceWriter {
  public:
    DeviceWriter(const DeviceMaps& maps, const DeviceTable& table) : maps_(maps), table_(table) {}

    Status write() {
        auto done = look();
        done = done.and_then([&] { return clear(); });
        done = done.and_then([&] { return assign(); });
        // Before the first new owner: what the former one's process was killed over is done as well.
        done = done.and_then([&] { return changes_hands_ ? bump_epochs(maps_.epochs) : Status(); });
        for (const auto& [ifindex, entry] : table_) {
            done = done.and_then([&] { return write_one(ifindex, entry); });
        }
        return done;
    }

  private:
    // Who has which slot, as both maps say.
    Status look() {
        const auto slots = read_slots(maps_.devices);
        if (!slots) {
            return tl::unexpected(slots.error());
        }
        present_ = *slots;
        for (uint32_t slot = 0; slot < LB_INTERFACES; ++slot) {
            const auto interface = read_interface(maps_.interfaces, slot);
            if (!interface) {
                return tl::unexpected(interface.error());
            }
            there_.at(slot) = *interface;
            const auto device = present_.find(interface->ifindex);
            if (interface->ifindex != 0 && device != present_.end() &&
                device->second.slot == slot && table_.contains(interface->ifindex)) {
                slots_[interface->ifindex] = slot;
                used_.set(slot);
            }
        }
        return {};
    }

    // Takes devices and slots from those that are not ours any more.
    Status clear() {
        for (const auto& [ifindex, device] : present_) {
            const auto deleted =
                slots_.contains(ifindex) ? Status() : map_delete(maps_.devices, ifindex);
            if (!deleted) {
                return deleted;
            }
        }
        for (uint32_t slot = 0; slot < LB_INTERFACES; ++slot) {
            if (used_.test(slot) || is_same(there_.at(slot), lb_interface{})) {
                continue;
            }
            const auto cleared = map_update(maps_.interfaces, slot, lb_interface{}).and_then([&] {
                return map_delete(maps_.redirects, slot);
            });
            if (!cleared) {
                return cleared;
            }
            there_.at(slot) = {};
            changes_hands_ = true;
        }
        return {};
    }

    // The lowest free slot for each that has none.
    Status assign() {
        uint32_t slot = 0;
        for (const auto& [ifindex, entry] : table_) {
            if (slots_.contains(ifindex)) {
                continue;
            }
            while (slot < LB_INTERFACES && used_.test(slot)) {
                ++slot;
            }
            if (slot == LB_INTERFACES) {
                return fail("{}: more than {} interfaces", entry.device.name, LB_INTERFACES);
            }
            used_.set(slot);
            slots_[ifindex] = slot;
            changes_hands_ = true;
        }
        return {};
    }

    // Of a device that XDP may redirect to, the way is there before it is said to be, and as long.
    Status write_one(uint32_t ifindex, const DeviceEntry& entry) {
        const uint32_t slot = slots_.at(ifindex);
        const lb_interface interface = interface_entry(ifindex, entry);
        const bool redirect = interface.xdp != 0;
        auto done = redirect ? map_update(maps_.redirects, slot, ifindex) : Status();
        if (done && !is_same(there_.at(slot), interface)) {
            done = map_update(maps_.interfaces, slot, interface);
        }
        if (done && !redirect) {
            done = map_delete(maps_.redirects, slot);
        }
        const lb_device device{.uplink = entry.uplink, .slot = slot};
        const auto known = present_.find(ifindex);
        if (done && (known == present_.end() || !is_same(known->second, device))) {
            done = map_update(maps_.devices, ifindex, device);
        }
        return done.map_error([&](const Error& error) { return error.within(entry.device.name); });
    }

    const DeviceMaps& maps_;
    const DeviceTable& table_;
    std::map<uint32_t, lb_device> present_;           // by ifindex
    std::array<lb_interface, LB_INTERFACES> there_{}; // by slot
    std::map<uint32_t, uint32_t> slots_;              // of what is in the table, by ifindex
    std::bitset<LB_INTERFACES> used_;                 // of those
    bool changes_hands_ = false;
};

} // namespace

Result<DeviceTable> device_table(std::span<const std::string> lan_devices,
                                 std::span<const DatapathUplink> uplinks,
                                 std::span<const DatapathDevice> devices, bool skip_missing) {
    DeviceTable table;
    const auto add = [&](const std::string& name, uint32_t uplink) -> Status {
        const auto ifindex = interface_index(name);
        if (!ifindex) {
            return tl::unexpected(ifindex.error());
        }
        const auto known = std::ranges::find(devices, name, &DatapathDevice::name);
        if (*ifindex != 0) {
            table[*ifindex] = {uplink,
                               known == devices.end() ? DatapathDevice{.name = name} : *known};
        } else if (!skip_missing) {
            return fail_errno(ENODEV, fmt::format("interface {}", name));
        }
        return {};
    };
    for (const auto& device : lan_devices) {
        if (auto added = add(device, LB_NO_UPLINK); !added) {
            return tl::unexpected(added.error());
        }
    }
    for (const auto& uplink : uplinks) {
        auto added = uplink.device.empty() ? Status() : add(uplink.device, uplink.id);
        if (!added) {
            return tl::unexpected(added.error());
        }
    }
    return table;
}

Status write_devices(const DeviceMaps& maps, const DeviceTable& table) {
    return DeviceWriter(maps, table).write();
}

Result<DeviceTable> read_devices(const Fd& devices, const Fd& interfaces, bool fast_path) {
    const auto slots = read_slots(devices);
    if (!slots) {
        return tl::unexpected(slots.error());
    }
    DeviceTable table;
    for (const auto& [ifindex, device] : *slots) {
        auto name = interface_name(ifindex);
        const auto interface = device.slot < LB_INTERFACES ? read_interface(interfaces, device.slot)
                                                           : Result<lb_interface>(lb_interface{});
        if (!name || !interface) {
            return tl::unexpected(name ? interface.error() : name.error());
        }
        table[ifindex] = {device.uplink, device_value(*std::move(name), *interface, fast_path)};
    }
    return table;
}

} // namespace linkbal
