// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/link_change.h"

namespace linkbal {

namespace {

std::string text(const std::optional<IpAddress>& address) {
    return address ? address->str() : std::string();
}

} // namespace

std::string_view event_name(LinkEvent event) {
    switch (event) {
    case LinkEvent::up:
        return "up";
    case LinkEvent::down:
        return "down";
    case LinkEvent::drain:
        return "drain";
    case LinkEvent::resume:
        return "resume";
    case LinkEvent::weight:
        return "weight";
    }
    return "";
}

Environment link_environment(std::string_view event, std::string_view instance,
                             const LinkPlace& link) {
    return {
        {"LINKBAL_EVENT", std::string(event)},
        {"LINKBAL_INSTANCE", std::string(instance)},
        {"LINKBAL_UPLINK", link.uplink},
        {"LINKBAL_INTERFACE", link.interface},
        {"LINKBAL_ADDRESS", text(link.address)},
        {"LINKBAL_GATEWAY", text(link.gateway)},
        {"LINKBAL_ADDRESS6", text(link.address6)},
        {"LINKBAL_GATEWAY6", text(link.gateway6)},
        {"LINKBAL_MARK", fmt::format("{:#x}", link.mark)},
    };
}

Environment change_environment(std::string_view instance, const LinkChange& change) {
    auto environment = link_environment(event_name(change.event), instance, change.link);
    environment.emplace_back("LINKBAL_STATE", change.state);
    environment.emplace_back("LINKBAL_PREVIOUS", change.previous);
    environment.emplace_back("LINKBAL_REASON", change.reason);
    return environment;
}

} // namespace linkbal
