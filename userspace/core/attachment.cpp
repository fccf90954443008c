// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/attachment.h"

#include <algorithm>

namespace linkbal {

std::vector<Attachment> wanted_attachments(const DatapathState& state) {
    std::vector<Attachment> wanted;
    for (const auto& device : state.lan_devices) {
        wanted.push_back({device, AttachRole::lan_ingress, state.use_tcx});
        wanted.push_back({device, AttachRole::lan_egress, state.use_tcx});
    }
    for (const auto& uplink : state.uplinks) {
        if (uplink.device.empty()) { // it is not there
            continue;
        }
        wanted.push_back({uplink.device, AttachRole::uplink_egress, state.use_tcx});
    }
    std::ranges::sort(wanted);
    return wanted;
}

bool same_place(const Attachment& a, const Attachment& b) {
    return a.device == b.device && a.tcx == b.tcx &&
           attach_direction(a.role) == attach_direction(b.role);
}

std::string_view attach_direction(AttachRole role) {
    return role == AttachRole::lan_ingress ? "ingress" : "egress";
}

std::string_view attach_program(AttachRole role) {
    switch (role) {
    case AttachRole::lan_ingress:
        return "lb_classify";
    case AttachRole::lan_egress:
        return "lb_count_rx";
    default:
        return "lb_count_tx";
    }
}

std::optional<AttachRole> role_of_program(std::string_view program) {
    using enum AttachRole;
    for (const auto role : {lan_ingress, lan_egress, uplink_egress}) {
        if (attach_program(role) == program) {
            return role;
        }
    }
    return std::nullopt;
}

} // namespace linkbal
