// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/routes.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <span>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "kernel/netlink_attributes.h"

namespace linkbal {

namespace {

Family family_of(uint8_t socket_family) {
    return socket_family == AF_INET ? Family::ipv4 : Family::ipv6;
}

// The destination or source of a message; absent means "any".
Prefix prefix_from(Family family, const std::optional<IpAddress>& address, uint8_t length) {
    return address ? Prefix(*address, length) : Prefix::any(family);
}

// IPv4 over an IPv6 gateway comes as RTA_VIA: struct rtvia, a family and the bare address.
std::optional<IpAddress> gateway_from(const Attributes& attributes) {
    const nlattr* via = attributes.find(RTA_VIA);
    if (via == nullptr || mnl_attr_get_payload_len(via) <= sizeof(rtvia)) {
        return attributes.address(RTA_GATEWAY);
    }
    const std::span bytes(static_cast<const uint8_t*>(mnl_attr_get_payload(via)),
                          mnl_attr_get_payload_len(via));
    const auto address = bytes.subspan(sizeof(rtvia));
    return address.size() == 4 || address.size() == 16 ? std::optional(IpAddress(address))
                                                       : std::nullopt;
}

std::vector<NextHop> multipath_from(const nlattr* attribute, const InterfaceNames& names) {
    std::vector<NextHop> hops;
    auto left = static_cast<int>(mnl_attr_get_payload_len(attribute));
    const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(attribute));
    while (left >= static_cast<int>(sizeof(*hop)) && RTNH_OK(hop, left)) {
        const Attributes attributes(hop + 1, hop->rtnh_len - sizeof(*hop));
        hops.push_back({.gateway = gateway_from(attributes),
                        .device = names.name(static_cast<uint32_t>(hop->rtnh_ifindex)),
                        .weight = hop->rtnh_hops + 1U});
        left -= RTNH_ALIGN(hop->rtnh_len);
        hop = RTNH_NEXT(hop);
    }
    std::ranges::sort(hops, {}, &NextHop::device);
    return hops;
}

std::vector<NextHop> hops_from(const Attributes& attributes, const InterfaceNames& names) {
    if (const nlattr* multipath = attributes.find(RTA_MULTIPATH)) {
        return multipath_from(multipath, names);
    }
    return {{.gateway = gateway_from(attributes),
             .device = names.name(attributes.u32(RTA_OIF)),
             .weight = 1}};
}

void add_route(RoutesAndRules& all, const nlmsghdr* message, uint8_t family,
               const InterfaceNames& names) {
    const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    const Attributes attributes(message, sizeof(*header));
    const uint32_t table = attributes.u32(RTA_TABLE);
    // Asked for a family that it does not have (ipv6.disable=1), the kernel tells the routes of all
    // others (rtnl_dump_all() in net/core/rtnetlink.c).
    const bool ours = header->rtm_protocol == route_protocol;
    const bool unreachable = ours && header->rtm_type == RTN_UNREACHABLE;
    if (header->rtm_family != family || (header->rtm_type != RTN_UNICAST && !unreachable) ||
        table == RT_TABLE_LOCAL || (header->rtm_flags & RTM_F_CLONED) != 0) {
        return;
    }
    auto& list = ours ? all.our_routes : all.foreign_routes;
    list.push_back({.table = table,
                    .destination = prefix_from(family_of(family), attributes.address(RTA_DST),
                                               header->rtm_dst_len),
                    .hops = unreachable ? std::vector<NextHop>{} : hops_from(attributes, names),
                    .preferred_source = attributes.address(RTA_PREFSRC),
                    .metric = attributes.u32(RTA_PRIORITY)});
}

void add_rule(RoutesAndRules& all, const nlmsghdr* message, uint8_t family) {
    const auto* header = static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(message));
    const Attributes attributes(message, sizeof(*header));
    if (header->family != family) {
        return;
    }
    Rule rule{.family = family_of(family),
              .priority = attributes.u32(FRA_PRIORITY),
              .source = std::nullopt,
              .mark = attributes.u32(FRA_FWMARK),
              .mark_mask = attributes.u32(FRA_FWMASK),
              .input_interface = attributes.text(FRA_IIFNAME),
              .output_interface = attributes.text(FRA_OIFNAME),
              .table = attributes.u32(FRA_TABLE),
              .suppress_prefix_length = std::nullopt,
              .inverted = (header->flags & FIB_RULE_INVERT) != 0};
    if (const auto source = attributes.address(FRA_SRC)) {
        rule.source = Prefix(*source, header->src_len);
    }
    // The kernel always reports the attribute; all ones means that nothing is suppressed.
    const uint32_t suppress = attributes.u32(FRA_SUPPRESS_PREFIXLEN);
    if (attributes.find(FRA_SUPPRESS_PREFIXLEN) != nullptr && suppress != UINT32_MAX) {
        rule.suppress_prefix_length = suppress;
    }
    const nlattr* protocol = attributes.find(FRA_PROTOCOL);
    const bool ours = protocol != nullptr && mnl_attr_get_u8(protocol) == route_protocol;
    (ours ? all.our_rules : all.foreign_rules).push_back(rule);
}

// A kernel without IPv6 (ipv6.disable=1, no such module) has no routes and no rules of it.
bool lacks_family(const Status& status, uint8_t family) {
    return !status && family == AF_INET6 &&
           (status.error().code == EAFNOSUPPORT || status.error().code == EOPNOTSUPP);
}

Result<RoutesAndRules> read_family(NetlinkSocket& socket, const InterfaceNames& names,
                                   uint8_t family) {
    RoutesAndRules found;
    rtmsg route_query{};
    route_query.rtm_family = family;
    auto status = socket.dump(
        {RTM_GETROUTE, 0, route_query}, "read routes",
        [&](const nlmsghdr* message) { add_route(found, message, family, names); },
        [&] { found = {}; });
    if (!status && !lacks_family(status, family)) {
        return tl::unexpected(status.error());
    }
    fib_rule_hdr rule_query{};
    rule_query.family = family;
    status = socket.dump(
        {RTM_GETRULE, 0, rule_query}, "read rules",
        [&](const nlmsghdr* message) { add_rule(found, message, family); },
        [&] {
            found.our_rules.clear();
            found.foreign_rules.clear();
        });
    if (!status && !lacks_family(status, family)) {
        return tl::unexpected(status.error());
    }
    return found;
}

// Each once, in the kernel's order: routes that differ in what is not read here (a type of service)
// are one to us.
template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
    std::set<T> seen;
    std::ranges::copy_if(from, std::back_inserter(to),
                         [&](const T& one) { return seen.insert(one).second; });
}

} // namespace

Result<RoutesAndRules> read_routes_and_rules(NetlinkSocket& route_socket,
                                             const InterfaceNames& names) {
    RoutesAndRules all;
    for (const auto family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
        const auto part = read_family(route_socket, names, family);
        if (!part) {
            return tl::unexpected(part.error());
        }
        append(all.our_routes, part->our_routes);
        append(all.foreign_routes, part->foreign_routes);
        append(all.our_rules, part->our_rules);
        append(all.foreign_rules, part->foreign_rules);
    }
    return all;
}

} // namespace linkbal
