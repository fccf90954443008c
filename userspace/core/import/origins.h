// SPDX-License-Identifier: GPL-2.0-or-later
// To whom rules of INPUT open a service, together.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/import/model.h"

namespace linkbal {

// What one rule opens something to. Devices are gathered: [firewall] only knows all of the LAN's and all
// uplinks together, of IPv4 and of IPv6.
struct Origin {
    size_t command = 0;
    Family family = Family::ipv4;
    bool lan = false, uplinks = false;
    std::string lan_device, uplink_device;
    std::optional<Prefix> network;
};
using OriginList = std::vector<Origin>;

class OriginSum {
  public:
    // `closed`: the families that the script closes; of another everything is open anyway.
    OriginSum(std::span<const Family> closed, const ImportModel& model, ImportLedger& ledger)
        : closed_(closed), model_(model), ledger_(ledger) {}

    // What [firewall] can open without opening more than the rules do, which are told what it can't.
    [[nodiscard]] Origins of(const OriginList& list, std::string_view what) const;

  private:
    struct Side {
        bool lan = false, uplinks = false;
    };
    [[nodiscard]] Side side(const OriginList& list, Family family) const;
    void judge(const Origin& origin, const Side& own, const Origins& all,
               std::string_view what) const;

    std::span<const Family> closed_;
    const ImportModel& model_;
    ImportLedger& ledger_;
};

} // namespace linkbal
