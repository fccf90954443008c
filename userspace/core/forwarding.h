// SPDX-License-Identifier: GPL-2.0-or-later
// Which devices forward by XDP, which by tc, and which leave it to the kernel: pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/facts.h"
#include "core/gateway_state.h"

namespace linkbal {

struct DeviceForwarding {
    std::string device;
    Forwarding forwarding = Forwarding::classify;
    std::string reason; // a short phrase
    bool operator==(const DeviceForwarding&) const = default;
};

// A device that would not have our XDP program. It is asked again when its MTU changes, on which many
// drivers make it depend.
struct RefusedXdp {
    uint32_t ifindex = 0;
    uint32_t mtu = 0;
    std::string words; // the kernel's
    bool operator==(const RefusedXdp&) const = default;
};

// One for each of `devices`, in their order. `conntrack_lookup`: the kernel has the functions without
// which nothing can be learned.
std::vector<DeviceForwarding> choose_forwarding(DatapathMode mode, bool conntrack_lookup,
                                                const std::vector<std::string>& devices,
                                                const Facts& facts,
                                                const std::vector<RefusedXdp>& refused);

// A line for each device that would not have XDP, and for each that can't although it is asked for.
std::vector<std::string> forwarding_warnings(DatapathMode mode,
                                             const std::vector<DeviceForwarding>& chosen);

// A qdisc that delays or orders what passes it, so that to go around it would make a difference.
bool shapes(std::string_view qdisc);

// Buckets of LB_WAYS entries, by Family, for as many connections: two entries each, and every other place
// empty. Of IPv6 there are three quarters of that; a family that is not balanced has one.
std::array<uint32_t, 2> flow_buckets(uint32_t connections, std::array<bool, 2> balanced);

// "xdp", "tc", "classify", or "mixed" where devices differ.
std::string datapath_mode_name(const std::vector<DatapathDevice>& devices);

} // namespace linkbal
