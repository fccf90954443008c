// SPDX-License-Identifier: GPL-2.0-or-later
// The maps that tell programs of devices: `devices` by ifindex, and by slot `interfaces` and
// `redirects`. Flows name devices by slot, so a slot stays with its device as long as that is ours.
#pragma once

#include <map>
#include <span>
#include <string>

#include "core/gateway_state.h"
#include "linkbal/abi.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

struct DeviceEntry {
    uint32_t uplink = LB_NO_UPLINK; // id
    DatapathDevice device;
};
using DeviceTable = std::map<uint32_t, DeviceEntry>; // by ifindex

// What is not among `devices` is written as forwarding nothing by itself. An uplink without a device has
// no entry.
Result<DeviceTable> device_table(std::span<const std::string> lan_devices,
                                 std::span<const DatapathUplink> uplinks,
                                 std::span<const DatapathDevice> devices, bool skip_missing);

struct DeviceMaps {
    Fd devices, interfaces, redirects, epochs;
};
// The difference; each entry in one step. When a slot changes hands, what was remembered of all
// connections is void between the former owner's end and the next one's beginning.
Status write_devices(const DeviceMaps& maps, const DeviceTable& table);
// A device that is gone has an empty name. `fast_path`: the programs forward by themselves.
Result<DeviceTable> read_devices(const Fd& devices, const Fd& interfaces, bool fast_path);

} // namespace linkbal
