// SPDX-License-Identifier: GPL-2.0-or-later
// What changes in the kernel's decisions about packets, which the flow cache only repeats.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include <linux/netlink.h>

#include "core/known_neighbours.h"
#include "kernel/event_socket.h"
#include "kernel/netlink.h"
#include "util/result.h"

namespace linkbal {

// Routes, nexthops, rules and neighbours of both families. An address that comes or goes shows by its
// route in the table `local`; one that only gets a new lifetime, as with every router advertisement,
// doesn't.
Result<EventSocket> open_path_events();

// One message for every transaction of nftables. The older iptables, which works without nftables, makes
// no events.
Result<EventSocket> open_ruleset_events();

// Whose flows an event may concern.
struct Concern {
    uint32_t interface = 0; // index: only those that use it; 0: all
};

// nullopt: none. What was requested from the netlink port `own_port` is our own doing. Neighbours are
// the business of neighbour_news_of().
std::optional<Concern> concern_of_path(const nlmsghdr& event, uint32_t own_port);

// Was it somebody else than this process? Processes are known by their ids in the first pid namespace: in
// another one everything seems to be somebody else's.
bool is_foreign_ruleset(const nlmsghdr& event);

// nullopt: no event of a neighbour, or one that says nothing of where to send to.
std::optional<NeighbourNews> neighbour_news_of(const nlmsghdr& event);

// Those that the kernel knows now, each once or more.
Status read_neighbours(NetlinkSocket& socket,
                       const std::function<void(const NeighbourNews&)>& each);

} // namespace linkbal
