// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/firewall_session.h"

#include <algorithm>
#include <compare>
#include <vector>

#include <fmt/format.h>

#include "core/desired.h"
#include "core/firewall_rules.h"

namespace linkbal {

namespace {

using Side = SessionWay::Side;

bool contains(std::span<const Prefix> networks, const IpAddress& address) {
    return std::ranges::any_of(networks,
                               [&](const Prefix& network) { return network.contains(address); });
}

bool has_address(const Interface& interface, const IpAddress& address) {
    return std::ranges::find(interface.addresses, address, &InterfaceAddress::address) !=
           interface.addresses.end();
}

bool is_uplink(const Config& config, const std::string& device) {
    return std::ranges::find(config.uplinks, device, &UplinkConfig::interface) !=
           config.uplinks.end();
}

bool is_lan(const Config& config, const std::string& device) {
    return std::ranges::find(config.lan.interfaces, device) != config.lan.interfaces.end();
}

// What says that a client is behind a device: the greatest is to be believed.
struct Lead {
    unsigned length =
        0; // of the subnet's or the route's prefix: the kernel, too, takes the longest
    bool serves = false; // the device has the session's server address
    bool lan = false;
    std::string device{};
    auto operator<=>(const Lead&) const = default;
};

// Who has come to an uplink's address from afar has come by that uplink, whichever route leads back.
// Other routes tell of those behind the LAN and VPNs.
class Leads {
  public:
    Leads(const Config& config, const Session& session, const Interface* owner)
        : config_(config), session_(session), owner_(owner != nullptr ? owner->name : "") {}

    void add(const Prefix& network, const std::string& device) {
        const bool serves = device == owner_;
        if (network.contains(session_.client) && (serves || !is_uplink(config_, device))) {
            best_ = std::max(best_, {network.length(), serves, is_lan(config_, device), device});
        }
    }
    [[nodiscard]] const std::string& device() const { return best_.device; }

  private:
    const Config& config_;
    const Session& session_;
    std::string owner_;
    Lead best_;
};

// Empty: nothing but a default route.
std::string device_towards(const Config& config, const Facts& facts, const Session& session,
                           const Interface* owner) {
    Leads leads(config, session, owner);
    for (const Interface& interface : facts.interfaces) {
        for (const InterfaceAddress& own : interface.addresses) {
            leads.add(own.subnet(), interface.name);
        }
    }
    for (const Route& route : facts.foreign_routes) {
        if (route.table == main_table && route.destination.length() != 0 && !route.hops.empty()) {
            leads.add(route.destination, route.hops.front().device);
        }
    }
    return leads.device();
}

// The firewall leaves out subnets of link scope.
bool is_neighbour(const Interface& interface, const IpAddress& client) {
    return std::ranges::any_of(
        global_addresses(interface, client.family()),
        [&](const InterfaceAddress& own) { return own.subnet().contains(client); });
}

// Whose address the client has turned to, as port forwards know them.
std::vector<std::string> uplinks_with(const IpAddress& address, const Config& config,
                                      const Facts& facts) {
    std::vector<std::string> names;
    for (const UplinkConfig& uplink : config.uplinks) {
        const Interface* interface = facts.interface(uplink.interface);
        if (interface != nullptr && has_address(*interface, address)) {
            names.push_back(uplink.name);
        }
    }
    return names;
}

SessionWay way_by(const Config& config, const std::string& device) {
    SessionWay way{.side = Side::other, .device = device};
    const auto uplink = std::ranges::find(config.uplinks, device, &UplinkConfig::interface);
    if (is_lan(config, device)) {
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

bool looks_spoofed(const IpAddress& address) { return contains(spoofed_sources(), address); }

// Dropped before any rule is asked; what is not from the LAN and says so, even of open connections.
std::optional<SessionObstacle> spoofing(const Config& config, std::span<const Prefix> lan_networks,
                                        const SessionWay& way, const Session& session) {
    if (way.side != Side::lan && contains(lan_networks, session.client)) {
        return SessionObstacle{"the local network's addresses must not come from elsewhere, not "
                               "even in connections that are open",
                               "[lan] interfaces, or other networks there"};
    }
    if (way.side == Side::uplink && !way.neighbour && looks_spoofed(session.client) &&
        !contains(config.firewall->expected_sources, session.client)) {
        return SessionObstacle{
            "such sources are dropped as spoofed on uplinks",
            fmt::format("[firewall] expected_sources = [\"{}\"]", host_text(session.client))};
    }
    return std::nullopt;
}

// By an uplink it takes what is for any address of ours, from the LAN what is for an uplink's.
bool takes_there(const ForwardConfig& forward, const SessionWay& way, const Session& session) {
    const auto named = [&](const std::string& uplink) {
        return forward.uplinks.empty() ||
               std::ranges::find(forward.uplinks, uplink) != forward.uplinks.end();
    };
    if (way.side == Side::lan) {
        return forward.hairpin && std::ranges::any_of(way.addressed, named);
    }
    return way.side == Side::uplink && named(way.uplink) &&
           (forward.from.empty() || contains(forward.from, session.client));
}

bool takes(const ForwardConfig& forward, const SessionWay& way, const Session& session) {
    return std::ranges::find(forward.protocols, Transport::tcp) != forward.protocols.end() &&
           forward.port.first <= session.port && session.port <= forward.port.last &&
           (!forward.to || forward.to->family() == session.client.family()) &&
           takes_there(forward, way, session);
}

std::optional<SessionObstacle> forwarding(const Config& config, const SessionWay& way,
                                          const Session& session) {
    for (size_t i = 0; i < config.forwards.size(); ++i) {
        if (takes(config.forwards[i], way, session)) {
            const auto& to = config.forwards[i].to;
            return SessionObstacle{fmt::format("forward[{}] leads there to {}", i,
                                               to ? to->str() : "a host of the local network"),
                                   fmt::format("[[forward]] port, or {}",
                                               way.side == Side::lan ? "hairpin = false" : "from")};
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
                           fmt::format(R"([[firewall.allow]] service = ["{}"], from = ["{}"])",
                                       port_text(session), origin)};
}

std::string way_text(const SessionWay& way) {
    return way.device.empty()         ? ""
           : way.side == Side::uplink ? fmt::format(" by uplink {}", way.uplink)
                                      : fmt::format(" by {}", way.device);
}

} // namespace

SessionWay session_way(const Config& config, const Facts& facts, const Session& session) {
    const Interface* owner = owner_of(session.server, facts);
    // Two devices can hardly have the same link-local address, and may have the same subnet of them.
    std::string device =
        session.client.is_link_local() ? "" : device_towards(config, facts, session, owner);
    if (device.empty()) {
        device = owner != nullptr ? owner->name : "";
    }
    if (device.empty()) {
        return {};
    }
    SessionWay way = way_by(config, device);
    const Interface* interface = facts.interface(device);
    way.neighbour = interface != nullptr && is_neighbour(*interface, session.client);
    way.addressed = uplinks_with(session.server, config, facts);
    return way;
}

std::optional<SessionObstacle> session_obstacle(const Config& config,
                                                std::span<const Prefix> lan_networks,
                                                const SessionWay& way, const Session& session) {
    auto obstacle = config.firewall ? spoofing(config, lan_networks, way, session) : std::nullopt;
    if (!obstacle) {
        obstacle = forwarding(config, way, session);
    }
    return obstacle || !config.firewall ? obstacle : policy(config, way, session);
}

std::optional<std::string> session_warning(const Config& config, const Facts& facts,
                                           const Session& session) {
    const SessionWay way = session_way(config, facts, session);
    const auto obstacle = session_obstacle(config, lan_networks(config, facts), way, session);
    if (!obstacle) {
        return std::nullopt;
    }
    return fmt::format(
        "{} would not let you in again: you have come from {} to port {}{}, "
        "and {}; what would admit it: {}; `linkbal up --confirm 60` goes back unless "
        "`linkbal confirm` follows",
        config.firewall ? "the firewall" : "a port forward", session.client.str(),
        port_text(session), way_text(way), obstacle->reason, obstacle->remedy);
}

} // namespace linkbal
