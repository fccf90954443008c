// SPDX-License-Identifier: GPL-2.0-or-later
// What the connections of the LAN themselves say about a link: pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "util/clock.h"

namespace linkbal {

// Of one uplink and one family.
struct PassiveEvidence {
    // When it was last seen that a server had answered a connection by this link.
    std::optional<Time> last_success;
    // Connections die here that live on other links; `reason` says it in numbers.
    bool eats_connections = false;
    std::string reason;
    // From SYN to SYN-ACK, mean of the last seconds.
    std::optional<std::chrono::microseconds> round_trip;
};

} // namespace linkbal
