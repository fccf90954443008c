// SPDX-License-Identifier: GPL-2.0-or-later
// What rules of INPUT and FORWARD have in common with [firewall].
#pragma once

#include <string_view>

#include "core/import/model.h"

namespace linkbal {

// A source that nobody in the internet has, or the LAN's own, on an uplink.
[[nodiscard]] bool is_spoofing_rule(const PacketRule& rule, const ImportModel& model);
// Of ICMP's types the request of ping, or all.
[[nodiscard]] bool is_ping(std::string_view type);
[[nodiscard]] bool asks_for_dhcp(const PacketRule& rule);

// Drops, logs and what is accepted in both chains; true if it was one of these.
[[nodiscard]] bool judge_common(const PacketRule& rule, ImportModel& model, ImportLedger& ledger);

} // namespace linkbal
