// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/origins.h"

#include <algorithm>

#include <fmt/format.h>

namespace linkbal {

namespace {

bool has_all(const std::set<std::string>& devices, size_t count) {
    return !devices.empty() && devices.size() == count;
}

} // namespace

// What the rules of one family open.
OriginSum::Side OriginSum::side(const OriginList& list, Family family) const {
    Side sum;
    std::set<std::string> lan;
    std::set<std::string> uplinks;
    for (const Origin& origin : list) {
        if (origin.family == family) {
            sum.lan = sum.lan || origin.lan;
            sum.uplinks = sum.uplinks || origin.uplinks;
            lan.insert(origin.lan_device);
            uplinks.insert(origin.uplink_device);
        }
    }
    lan.erase("");
    uplinks.erase("");
    sum.lan = sum.lan || has_all(lan, model_.config.lan.interfaces.size());
    sum.uplinks = sum.uplinks || has_all(uplinks, model_.config.uplinks.size());
    return sum;
}

Origins OriginSum::of(const OriginList& list, std::string_view what) const {
    Origins all{.lan = true, .uplinks = true, .networks = {}};
    for (const Family family : closed_) {
        const Side own = side(list, family);
        all.lan = all.lan && own.lan;
        all.uplinks = all.uplinks && own.uplinks;
    }
    for (const Origin& origin : list) {
        const auto& network = origin.network;
        if (network && std::ranges::find(all.networks, *network) == all.networks.end()) {
            all.networks.push_back(*network);
        }
        judge(origin, side(list, origin.family), all, what);
    }
    return all;
}

void OriginSum::judge(const Origin& origin, const Side& own, const Origins& all,
                      std::string_view what) const {
    const bool lan = origin.lan || !origin.lan_device.empty();
    const bool uplinks = origin.uplinks || !origin.uplink_device.empty();
    if (uplinks && !own.uplinks) {
        ledger_.left(origin.command,
                     fmt::format("[firewall] lets {} in from all uplinks or from none", what));
    } else if (lan && !own.lan) {
        ledger_.left(origin.command,
                     fmt::format("[firewall] lets {} in from the whole LAN or not at all", what));
    } else if ((lan && !all.lan) || (uplinks && !all.uplinks)) {
        const bool some = (lan && all.lan) || (uplinks && all.uplinks);
        ledger_.judge(
            origin.command, some ? Fate::differs : Fate::left,
            fmt::format("[firewall] lets {} in by IPv4 and IPv6 alike, and the script does not{}",
                        what,
                        some ? (all.lan ? ": only from the LAN" : ": only from uplinks") : ""));
    }
}

} // namespace linkbal
