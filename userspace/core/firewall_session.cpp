// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/firewall_session.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "core/desired.h"

namespace linkbal {

namespace {

using Side = SessionWay::Side;

// Sources that no uplink is expected to have, as [firewall] drops them.
constexpr std::array<std::string_view, 15> spoofed_sources{
    "0.0.0.0/8",     "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
    "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4",   "240.0.0.0/4", "::/128",
    "::1/128",       "::ffff:0:0/96",  "fc00::/7",      "fec0::/10",   "ff00::/8"};

bool contains(std::span<const Prefix> networks, const IpAddress& address) {
    return std::ranges::any_of(networks,
                               [&](const Prefix& network) { return network.contains(address); });
}

bool is_private(const IpAddress& address) {
    return std::ranges::any_of(spoofed_sources, [&](std::string_view text) {
        return Prefix::parse(text)->contains(address);
    });
}

bool has_address(const Interface& interface, const IpAddress& address) {
    return std::ranges::find(interface.addresses, address, &InterfaceAddress::address) !=
           interface.addresses.end();
}

bool is_neighbour(const Interface& interface, const IpAddress& address) {
    return std::ranges::any_of(interface.addresses, [&](const InterfaceAddress& own) {
        return own.subnet().contains(address);
    });
}

SessionWay way_by(const Config& config, const std::string& device) {
    SessionWay way{.side = Side::other, .device = device};
    const auto uplink = std::ranges::find(config.uplinks, device, &UplinkConfig::interface);
    if (std::ranges::find(config.lan.interfaces, device) != config.lan.interfaces.end()) {
        way.side = Side::lan;
    } else if (uplink != config.uplinks.end()) {
        way.side = Side::uplink;
        way.uplink = uplink->name;
    }
    return way;
}

// As the file has a single host.
std::string host_text(const IpAddress& address) { return Prefix(address, address.bits()).str(); }

std::string port_text(const Session& session) { return fmt::format("{}/tcp", session.port); }

bool offers(const AllowConfig& allow, uint16_t port) {
    return std::ranges::any_of(allow.services, [&](const ServicePorts& service) {
        return service.transport == Transport::tcp && service.ports.first <= port &&
               port <= service.ports.last;
    });
}

bool admits(const Origins& from, const SessionWay& way, const IpAddress& client) {
    return (from.lan && way.side == Side::lan) || (from.uplinks && way.side == Side::uplink) ||
           contains(from.networks, client);
}

// Dropped before anything is looked up, unless it belongs to a connection that is known.
std::optional<SessionObstacle> spoofing(const Config& config, std::span<const Prefix> lan_networks,
                                        const SessionWay& way, const Session& session) {
    if (way.side != Side::lan && contains(lan_networks, session.client)) {
        return SessionObstacle{"the local network's addresses must not come from elsewhere",
                               "[lan] interfaces"};
    }
    const auto& expected = config.firewall->expected_sources;
    if (way.side == Side::uplink && !way.neighbour && is_private(session.client) &&
        !contains(expected, session.client)) {
        return SessionObstacle{
            "such sources are dropped as spoofed on uplinks",
            fmt::format("[firewall] expected_sources = [\"{}\"]", host_text(session.client))};
    }
    return std::nullopt;
}

bool takes(const ForwardConfig& forward, const SessionWay& way, const Session& session) {
    const bool here = forward.uplinks.empty() ||
                      std::ranges::find(forward.uplinks, way.uplink) != forward.uplinks.end();
    return way.side == Side::uplink && here &&
           std::ranges::find(forward.protocols, Transport::tcp) != forward.protocols.end() &&
           forward.port.first <= session.port && session.port <= forward.port.last &&
           (!forward.to || forward.to->family() == session.client.family()) &&
           (forward.from.empty() || contains(forward.from, session.client));
}

std::optional<SessionObstacle> forwarding(const Config& config, const SessionWay& way,
                                          const Session& session) {
    for (size_t i = 0; i < config.forwards.size(); ++i) {
        if (takes(config.forwards[i], way, session)) {
            const auto& to = config.forwards[i].to;
            return SessionObstacle{fmt::format("forward[{}] leads there to {}", i,
                                               to ? to->str() : "a host of the local network"),
                                   "[[forward]] port, or from"};
        }
    }
    return std::nullopt;
}

std::string origin_text(const SessionWay& way, const IpAddress& client) {
    return way.side == Side::lan ? "lan" : host_text(client);
}

std::optional<SessionObstacle> policy(const Config& config, const SessionWay& way,
                                      const Session& session) {
    const auto& allow = config.firewall->allow;
    std::optional<size_t> offered;
    for (size_t i = 0; i < allow.size(); ++i) {
        if (!offers(allow[i], session.port)) {
            continue;
        }
        if (admits(allow[i].from, way, session.client)) {
            return std::nullopt;
        }
        offered = offered.value_or(i);
    }
    const auto origin = origin_text(way, session.client);
    if (offered) {
        return SessionObstacle{fmt::format("firewall.allow[{}] allows {} from elsewhere only",
                                           *offered, port_text(session)),
                               fmt::format("[[firewall.allow]] from, with \"{}\" in it", origin)};
    }
    return SessionObstacle{fmt::format("nothing allows {}", port_text(session)),
                           fmt::format("[[firewall.allow]] service = [\"{}\"], from = [\"{}\"]",
                                       port_text(session), origin)};
}

std::string way_text(const SessionWay& way) {
    return way.device.empty()         ? ""
           : way.side == Side::uplink ? fmt::format(" by uplink {}", way.uplink)
                                      : fmt::format(" by {}", way.device);
}

} // namespace

SessionWay session_way(const Config& config, const Facts& facts, const Session& session) {
    // Two devices can hardly have the same link-local address, and may have the same subnet of them.
    if (!session.client.is_link_local()) {
        const auto networks = lan_networks(config, facts);
        for (const std::string& device : config.lan.interfaces) {
            const Interface* interface = facts.interface(device);
            if (interface != nullptr && is_neighbour(*interface, session.client)) {
                return way_by(config, device);
            }
        }
        if (contains(networks, session.client) && !config.lan.interfaces.empty()) {
            return way_by(config, config.lan.interfaces.front());
        }
    }
    for (const Interface& interface : facts.interfaces) {
        if (has_address(interface, session.server)) {
            SessionWay way = way_by(config, interface.name);
            way.neighbour = is_neighbour(interface, session.client);
            return way;
        }
    }
    return {};
}

std::optional<SessionObstacle> session_obstacle(const Config& config,
                                                std::span<const Prefix> lan_networks,
                                                const SessionWay& way, const Session& session) {
    if (!config.firewall) {
        return std::nullopt;
    }
    auto obstacle = spoofing(config, lan_networks, way, session);
    if (!obstacle) {
        obstacle = forwarding(config, way, session);
    }
    return obstacle ? obstacle : policy(config, way, session);
}

std::optional<std::string> session_warning(const Config& config, const Facts& facts,
                                           const Session& session) {
    const SessionWay way = session_way(config, facts, session);
    const auto obstacle = session_obstacle(config, lan_networks(config, facts), way, session);
    if (!obstacle) {
        return std::nullopt;
    }
    return fmt::format(
        "the firewall would not let you in again: you have come from {} to port {}{}, "
        "and {}; what would admit it: {}; `linkbal up --confirm 60` goes back unless "
        "`linkbal confirm` follows",
        session.client.str(), port_text(session), way_text(way), obstacle->reason,
        obstacle->remedy);
}

} // namespace linkbal
