// SPDX-License-Identifier: GPL-2.0-or-later
// Hears of TCP connections that the kernel ends in their middle. When an interface is switched off or
// deleted, or loses an address, masquerading deletes the conntrack entries that used it
// (nf_nat_masquerade.c), before anybody can read them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include <linux/netlink.h>

#include "core/death.h"
#include "kernel/event_socket.h"
#include "util/result.h"

namespace linkbal {

// Its messages are conntrack's DESTROY events of TCP connections that have a mark within `mask`, a
// client that believes in them, and time left to live, and that nobody's request deleted. All others
// are dropped by a filter in the kernel and wake nobody. Connections that began before anybody
// listened make no event (nf_conntrack_events = 2, the default since 5.19). An error says what the
// kernel lacks.
Result<EventSocket> open_death_events(uint32_t mask);

// Its messages are conntrack's DESTROY events of connections that the flow cache may still forward: they
// have a mark within `mask`, both ends have sent something, and there was time left, whether the kernel
// has deleted them early or somebody's request. Connections that expire have none, and a closed one of
// TCP, whose ports are used again, is forwarded no longer: these wake nobody. What began before anybody
// listened makes no event, as above.
Result<EventSocket> open_flow_end_events(uint32_t mask);

// What one of the deaths tells; empty: neither end is behind us.
std::optional<Death> death_of(const nlmsghdr& event,
                              const std::function<bool(const IpAddress&)>& is_behind_us, Time now);

} // namespace linkbal
