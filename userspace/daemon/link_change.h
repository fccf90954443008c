// SPDX-License-Identifier: GPL-2.0-or-later
// What commands are told of a link, as values and as their environment. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/address.h"
#include "daemon/spawn.h"

namespace linkbal {

struct LinkPlace {
    std::string uplink, interface;
    std::optional<IpAddress> address, gateway;   // IPv4
    std::optional<IpAddress> address6, gateway6; // IPv6
    uint32_t mark = 0;                           // of the packets that leave by it
};

enum class LinkEvent : uint8_t { up, down, drain, resume, weight };

struct LinkChange {
    LinkEvent event = LinkEvent::up;
    LinkPlace link;
    std::string state, previous; // up, down or draining
    std::string reason;          // a phrase without a full stop
};

std::string_view event_name(LinkEvent event);

// LINKBAL_EVENT, _INSTANCE, _UPLINK, _INTERFACE, _ADDRESS, _GATEWAY, _ADDRESS6, _GATEWAY6 and _MARK;
// what is not known is empty.
Environment link_environment(std::string_view event, std::string_view instance,
                             const LinkPlace& link);
// The same with LINKBAL_STATE, _PREVIOUS and _REASON.
Environment change_environment(std::string_view instance, const LinkChange& change);

} // namespace linkbal
