// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/open_connection.h"

#include <fmt/format.h>
#include <netinet/in.h>

namespace linkbal {

namespace {

bool has_ports(uint8_t protocol) {
    switch (protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
        return true;
    default:
        return false; // GRE's keys are where conntrack has ports otherwise
    }
}

} // namespace

// /etc/protocols' names, which need not be there.
std::string protocol_text(uint8_t protocol) {
    switch (protocol) {
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_UDPLITE:
        return "udplite";
    case IPPROTO_SCTP:
        return "sctp";
    case IPPROTO_DCCP:
        return "dccp";
    case IPPROTO_ICMP:
        return "icmp";
    case IPPROTO_ICMPV6:
        return "icmpv6";
    case IPPROTO_GRE:
        return "gre";
    case IPPROTO_ESP:
        return "esp";
    default:
        return fmt::format("{}", protocol);
    }
}

std::string endpoint_text(const IpAddress& address, uint16_t port, uint8_t protocol) {
    const std::string text =
        address.family() == Family::ipv6 ? fmt::format("[{}]", address.str()) : address.str();
    return has_ports(protocol) ? fmt::format("{}:{}", text, port) : text;
}

// By hand, because there may be a million. Nothing needs escaping: names of uplinks are letters,
// digits and a few signs.
std::string json_text(const OpenConnection& connection, std::string_view uplink) {
    const FlowTuple& opener = connection.opener;
    return fmt::format(
        R"({{"protocol": "{}", "source": "{}", "destination": "{}", "uplink": "{}", )"
        R"("nat_source": "{}", "offloaded": {}, "packets": {}, "bytes": {}, "state": "{}"}})",
        protocol_text(opener.protocol),
        endpoint_text(opener.source, opener.source_port, opener.protocol),
        endpoint_text(opener.destination, opener.destination_port, opener.protocol), uplink,
        endpoint_text(connection.nat_source, connection.nat_port, opener.protocol),
        connection.offloaded, connection.packets, connection.bytes, connection.state);
}

} // namespace linkbal
