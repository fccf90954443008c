// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/sides.h"

#include <algorithm>

#include "core/firewall_rules.h"

namespace linkbal {

bool is_in_lan(const Prefix& network, const ImportModel& model) {
    return std::ranges::any_of(model.config.lan.networks,
                               [&](const Prefix& lan) { return lan.contains(network); });
}

Side side_of(const Prefix& source, const ImportModel& model) {
    const auto meets = [&](const Prefix& network) { return network.overlaps(source); };
    const bool is_public = std::ranges::none_of(spoofed_sources(), meets) &&
                           std::ranges::none_of(model.config.lan.networks, meets);
    return is_in_lan(source, model) ? Side::lan : is_public ? Side::uplinks : Side::both;
}

Side side_of(const PacketRule& rule, const ImportModel& model) {
    const auto& interfaces = model.config.lan.interfaces;
    const bool other_than_lan =
        interfaces.size() == 1 && rule.not_in == interfaces.front() && rule.in.empty();
    if (model.uplink_by(rule.in) != nullptr || other_than_lan) {
        return Side::uplinks;
    }
    if (model.is_lan(rule.in)) {
        return Side::lan;
    }
    if (!rule.in.empty() || !rule.not_in.empty()) {
        return Side::both;
    }
    if (rule.source) {
        return side_of(*rule.source, model);
    }
    // What nat sends elsewhere has come to an uplink's address if that is not one of the LAN.
    const bool from_outside =
        rule.table == "nat" && rule.destination && !is_in_lan(*rule.destination, model);
    return from_outside ? Side::uplinks : Side::both;
}

Side side_of(const Origin& from, const ImportModel& model) {
    const bool lan = from.lan || !from.lan_device.empty();
    const bool uplinks = from.uplinks || !from.uplink_device.empty();
    if (from.network) {
        return side_of(*from.network, model);
    }
    return lan == uplinks ? Side::both : lan ? Side::lan : Side::uplinks;
}

} // namespace linkbal
