// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/routes.h"

#include <cstring>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace linkbal {

namespace {

// The header has eight bits for the table; larger numbers travel in an attribute only.
uint8_t table_byte(uint32_t table) {
    return table < 256 ? static_cast<uint8_t>(table) : static_cast<uint8_t>(RT_TABLE_COMPAT);
}

uint16_t type_and_flags(RouteOperation operation, uint16_t& flags) {
    switch (operation) {
    case RouteOperation::add:
        flags = NLM_F_CREATE;
        return RTM_NEWROUTE;
    case RouteOperation::replace:
        flags = NLM_F_CREATE | NLM_F_REPLACE;
        return RTM_NEWROUTE;
    case RouteOperation::remove:
        break;
    }
    flags = 0;
    return RTM_DELROUTE;
}

// Without it the kernel looks for the way to an IPv6 gateway, and finds none as long as the link has no
// carrier: its routes are passed over then (ignore_routes_with_linkdown), and the route is refused.
uint8_t hop_flags(Family family, const NextHop& hop) {
    return family == Family::ipv6 && hop.gateway ? RTNH_F_ONLINK : 0;
}

rtmsg route_header(const Route& route, bool remove) {
    rtmsg header{};
    header.rtm_family = socket_family(route.destination.family());
    header.rtm_dst_len = static_cast<uint8_t>(route.destination.length());
    header.rtm_table = table_byte(route.table);
    header.rtm_protocol = route_protocol;
    header.rtm_type = route.hops.empty() ? RTN_UNREACHABLE : RTN_UNICAST;
    if (!remove && route.hops.size() == 1) {
        header.rtm_flags = hop_flags(route.destination.family(), route.hops.front());
    }
    const bool on_link = route.hops.size() == 1 && !route.hops.front().gateway;
    header.rtm_scope = on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    if (remove && !on_link) {
        // A multipath route of point-to-point hops has scope "link" in the kernel: match any.
        header.rtm_scope = RT_SCOPE_NOWHERE;
    }
    return header;
}

// A gateway of the route's own family, or IPv4 over an IPv6 gateway: RTA_VIA (kernel 5.2 and later),
// a struct rtvia.
void put_gateway(NetlinkMessage& message, Family family, const IpAddress& gateway) {
    if (gateway.family() == family) {
        message.put(RTA_GATEWAY, gateway);
        return;
    }
    const uint16_t via_family = socket_family(gateway.family());
    std::vector<uint8_t> via(sizeof(rtvia));
    std::memcpy(via.data(), &via_family, sizeof(via_family));
    via.insert(via.end(), gateway.bytes().begin(), gateway.bytes().end());
    message.put(RTA_VIA, via);
}

// Of the attribute that put_gateway() puts, without padding.
size_t gateway_size(Family family, const IpAddress& gateway) {
    const size_t family_size = gateway.family() == family ? 0 : sizeof(rtvia);
    return RTA_LENGTH(family_size + gateway.bytes().size());
}

void put_multipath(NetlinkMessage& message, const Route& route,
                   const std::vector<uint32_t>& indexes) {
    const Family family = route.destination.family();
    message.nest(RTA_MULTIPATH, [&](NetlinkMessage& nested) {
        for (size_t i = 0; i < route.hops.size(); ++i) {
            const auto& gateway = route.hops[i].gateway;
            rtnexthop hop{};
            hop.rtnh_len =
                static_cast<uint16_t>(RTNH_LENGTH(gateway ? gateway_size(family, *gateway) : 0));
            hop.rtnh_flags = hop_flags(family, route.hops[i]);
            hop.rtnh_hops = static_cast<uint8_t>(route.hops[i].weight - 1);
            hop.rtnh_ifindex = static_cast<int>(indexes[i]);
            nested.append(&hop, sizeof(hop));
            if (gateway) {
                put_gateway(nested, family, *gateway);
            }
        }
    });
}

void put_hops(NetlinkMessage& message, const Route& route, const std::vector<uint32_t>& indexes) {
    if (route.hops.empty()) {
        return;
    }
    if (route.hops.size() > 1) {
        put_multipath(message, route, indexes);
        return;
    }
    if (const auto& gateway = route.hops.front().gateway) {
        put_gateway(message, route.destination.family(), *gateway);
    }
    message.put(RTA_OIF, indexes.front());
}

} // namespace

Result<NetlinkMessage> route_message(RouteOperation operation, const Route& route,
                                     const InterfaceNames& names) {
    std::vector<uint32_t> indexes;
    for (const NextHop& hop : route.hops) {
        indexes.push_back(names.index(hop.device));
        if (indexes.back() == 0) {
            return fail("route to {}: there is no interface {}", route.destination.str(),
                        hop.device);
        }
    }
    uint16_t flags = 0;
    const uint16_t type = type_and_flags(operation, flags);
    NetlinkMessage message(type, flags, route_header(route, operation == RouteOperation::remove));
    message.put(RTA_TABLE, route.table);
    if (!route.destination.is_default()) {
        message.put(RTA_DST, route.destination.address());
    }
    if (route.preferred_source) {
        message.put(RTA_PREFSRC, *route.preferred_source);
    }
    if (route.metric != 0) {
        message.put(RTA_PRIORITY, route.metric);
    }
    put_hops(message, route, indexes);
    return message;
}

NetlinkMessage rule_message(bool add, const Rule& rule) {
    fib_rule_hdr header{};
    header.family = socket_family(rule.family);
    header.table = table_byte(rule.table);
    header.action = FR_ACT_TO_TBL;
    header.src_len = rule.source ? static_cast<uint8_t>(rule.source->length()) : 0;
    const uint16_t flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
    NetlinkMessage message(add ? RTM_NEWRULE : RTM_DELRULE, flags, header);
    message.put(FRA_PRIORITY, rule.priority);
    message.put(FRA_TABLE, rule.table);
    message.put(FRA_PROTOCOL, route_protocol);
    if (rule.source) {
        message.put(FRA_SRC, rule.source->address());
    }
    if (rule.mark_mask != 0) {
        message.put(FRA_FWMARK, rule.mark);
        message.put(FRA_FWMASK, rule.mark_mask);
    }
    if (!rule.input_interface.empty()) {
        message.put(FRA_IIFNAME, rule.input_interface);
    }
    if (!rule.output_interface.empty()) {
        message.put(FRA_OIFNAME, rule.output_interface);
    }
    if (rule.suppress_prefix_length) {
        message.put(FRA_SUPPRESS_PREFIXLEN, *rule.suppress_prefix_length);
    }
    return message;
}

} // namespace linkbal
