// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/attachment.h"

#include <algorithm>
#include <array>

namespace linkbal {

namespace {

constexpr std::array all_roles{AttachRole::lan_ingress, AttachRole::lan_fast,
                               AttachRole::lan_egress,  AttachRole::uplink_ingress,
                               AttachRole::raw_ingress, AttachRole::uplink_egress,
                               AttachRole::xdp};

DatapathDevice device_of(const DatapathState& state, const std::string& name) {
    const auto found = std::ranges::find(state.devices, name, &DatapathDevice::name);
    return found == state.devices.end() ? DatapathDevice{.name = name} : *found;
}

bool is_xdp(const DatapathDevice& device) { return device.forwarding == Forwarding::xdp; }

// XDP sends on what it can, and misses are the classifier's. Wherever tc has a part in a flow, its program
// must see both of its ends.
AttachRole lan_ingress_role(const DatapathDevice& device, const DatapathState& state) {
    const bool tc_has_no_part = std::ranges::all_of(state.devices, is_xdp);
    return device.forwarding == Forwarding::classify || tc_has_no_part ? AttachRole::lan_ingress
                                                                       : AttachRole::lan_fast;
}

std::optional<AttachRole> uplink_ingress_role(const DatapathDevice& device,
                                              const DatapathState& state) {
    const bool lan_is_xdp = std::ranges::all_of(
        state.lan_devices, [&](const std::string& lan) { return is_xdp(device_of(state, lan)); });
    if (device.forwarding == Forwarding::classify || (is_xdp(device) && lan_is_xdp)) {
        return std::nullopt;
    }
    return device.ethernet ? AttachRole::uplink_ingress : AttachRole::raw_ingress;
}

} // namespace

std::vector<Attachment> wanted_attachments(const DatapathState& state) {
    std::vector<Attachment> wanted;
    const auto want_xdp = [&](const DatapathDevice& device) {
        if (is_xdp(device)) {
            wanted.push_back({device.name, AttachRole::xdp, true});
        }
    };
    for (const auto& name : state.lan_devices) {
        const auto device = device_of(state, name);
        wanted.push_back({name, lan_ingress_role(device, state), state.use_tcx});
        wanted.push_back({name, AttachRole::lan_egress, state.use_tcx});
        want_xdp(device);
    }
    for (const auto& uplink : state.uplinks) {
        if (uplink.device.empty()) { // it is not there
            continue;
        }
        const auto device = device_of(state, uplink.device);
        wanted.push_back({uplink.device, AttachRole::uplink_egress, state.use_tcx});
        if (const auto ingress = uplink_ingress_role(device, state)) {
            wanted.push_back({uplink.device, *ingress, state.use_tcx});
        }
        want_xdp(device);
    }
    std::ranges::sort(wanted);
    return wanted;
}

bool same_place(const Attachment& a, const Attachment& b) {
    return a.device == b.device && a.tcx == b.tcx &&
           attach_direction(a.role) == attach_direction(b.role);
}

std::string_view attach_direction(AttachRole role) {
    switch (role) {
    case AttachRole::lan_egress:
    case AttachRole::uplink_egress:
        return "egress";
    case AttachRole::xdp:
        return "xdp";
    default:
        return "ingress";
    }
}

bool same_side(AttachRole a, AttachRole b) {
    const auto is_lan = [](AttachRole role) {
        return role == AttachRole::lan_ingress || role == AttachRole::lan_fast ||
               role == AttachRole::lan_egress;
    };
    return attach_direction(a) == attach_direction(b) && is_lan(a) == is_lan(b);
}

std::string_view attach_program(AttachRole role) {
    switch (role) {
    case AttachRole::lan_ingress:
        return "lb_classify";
    case AttachRole::lan_fast:
        return "lb_fast_lan";
    case AttachRole::lan_egress:
        return "lb_count_rx";
    case AttachRole::uplink_ingress:
        return "lb_fast_uplink";
    case AttachRole::raw_ingress:
        return "lb_fast_raw";
    case AttachRole::xdp:
        return "lb_fast_xdp";
    default:
        return "lb_count_tx";
    }
}

std::optional<AttachRole> role_of_program(std::string_view program) {
    for (const auto role : all_roles) {
        if (attach_program(role) == program) {
            return role;
        }
    }
    return std::nullopt;
}

} // namespace linkbal
