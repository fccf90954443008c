// SPDX-License-Identifier: GPL-2.0-or-later
// The contents of the datapath's maps, written and read as domain values.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "core/gateway_state.h"
#include "kernel/device_maps.h"
#include "linkbal/abi.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// Both write the difference; the prefixes of the other family are passed over.
Status write_bypass(const Fd& bypass, Family family, std::span<const Prefix> prefixes);
Result<std::vector<Prefix>> read_bypass(const Fd& bypass, Family family);

// The maps that have entries of each uplink id.
struct UplinkMaps {
    Fd names, counters, handshakes, epochs;
};
Status write_uplinks(const UplinkMaps& maps, std::span<const DatapathUplink> wanted);
// An uplink whose interface is not, or no longer, the one in `devices` has an empty device.
Result<std::vector<DatapathUplink>> read_uplinks(const Fd& uplinks, const DeviceTable& devices);

// What was remembered of the uplink is void from now on.
Status bump_epoch(const Fd& epochs, uint32_t uplink_id);
// The same of all uplinks.
Status bump_epochs(const Fd& epochs);

} // namespace linkbal
