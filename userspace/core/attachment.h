// SPDX-License-Identifier: GPL-2.0-or-later
// Which program sits where, as values.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/gateway_state.h"

namespace linkbal {

enum class AttachRole : uint8_t {
    lan_ingress,    // lb_classify
    lan_fast,       // lb_fast_lan, in its place where tc forwards
    lan_egress,     // lb_count_rx
    uplink_ingress, // lb_fast_uplink
    raw_ingress,    // lb_fast_raw, in its place on devices without Ethernet header
    uplink_egress,  // lb_count_tx
    xdp,            // lb_fast_xdp, native
};

struct Attachment {
    std::string device;
    AttachRole role = AttachRole::lan_ingress;
    bool tcx = true; // a link, as XDP always is (5.9); else a clsact filter
    auto operator<=>(const Attachment&) const = default;
};

// Of our clsact filters: "LB". Foreign filters of lower priority numbers run first; ours ends with
// TC_ACT_UNSPEC, so those of higher numbers run as well.
inline constexpr uint32_t clsact_handle = 0x4c42;
inline constexpr uint32_t clsact_priority = 0x4c42;

// Every attachment that `state` asks for, sorted.
std::vector<Attachment> wanted_attachments(const DatapathState& state);

// There is one program of ours a device and direction, by TCX, by clsact and by XDP.
bool same_place(const Attachment& a, const Attachment& b);

// In the same place, and one takes over from the other without a gap.
bool same_side(AttachRole a, AttachRole b);

// "ingress", "egress" or "xdp"; the name of the program.
std::string_view attach_direction(AttachRole role);
std::string_view attach_program(AttachRole role);
std::optional<AttachRole> role_of_program(std::string_view program);

// The datapath as it is. Parts that are missing or of another ABI are empty, so that a comparison
// with what is wanted asks for them.
struct ActualDatapath {
    DatapathState state;
    std::vector<Attachment> attachments; // sorted; those that run the pinned programs now
    // Sorted. Left over: another program, or a device that is gone, or detached by hand. To attach
    // what is wanted mends it, the others are to be detached.
    std::vector<Attachment> outdated;
    bool current = false; // the programs are this binary's, complete, and use the pinned maps
};

} // namespace linkbal
