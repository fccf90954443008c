// SPDX-License-Identifier: GPL-2.0-or-later
// On which side of the gateway something is about: [firewall] knows the LAN and the uplinks.
#pragma once

#include <cstdint>

#include "core/import/model.h"
#include "core/import/origins.h"

namespace linkbal {

enum class Side : uint8_t { lan, uplinks, both };

// By an uplink comes what is public; "lan" is whatever comes by its interfaces.
[[nodiscard]] Side side_of(const Prefix& source, const ImportModel& model);
// Where a rule's packets come from.
[[nodiscard]] Side side_of(const PacketRule& rule, const ImportModel& model);
[[nodiscard]] Side side_of(const Origin& from, const ImportModel& model);

// Within a network of the LAN. It comes by no uplink then: it would be called spoofed.
[[nodiscard]] bool is_in_lan(const Prefix& network, const ImportModel& model);

} // namespace linkbal
