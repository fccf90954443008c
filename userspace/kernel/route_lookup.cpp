// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/route_lookup.h"

#include <array>
#include <cerrno>

#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace linkbal {

namespace {

// RTM_F_FIB_MATCH asks for the route itself, with its prefix, instead of the way of one packet
// (since 4.13).
void put_request(nlmsghdr* message, const IpAddress& address) {
    const auto bytes = address.bytes();
    message->nlmsg_type = RTM_GETROUTE;
    message->nlmsg_flags = NLM_F_REQUEST;
    auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
    route->rtm_family = socket_family(address.family());
    route->rtm_dst_len = static_cast<uint8_t>(address.bits());
    route->rtm_flags = RTM_F_FIB_MATCH;
    mnl_attr_put(message, RTA_DST, bytes.size(), bytes.data());
}

} // namespace

Result<RouteLookup> RouteLookup::open() {
    RouteLookup opened(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!opened.socket_ || mnl_socket_bind(opened.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
        return fail_errno(errno, "route netlink socket");
    }
    return opened;
}

bool RouteLookup::is_behind_us(const IpAddress& address) {
    const auto known = known_.find(address);
    return known != known_.end() ? known->second
                                 : known_.emplace(address, ask(address)).first->second;
}

bool RouteLookup::ask(const IpAddress& address) {
    alignas(nlmsghdr) std::array<char, 4096> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    put_request(request, address);
    request->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) {
        return false;
    }
    const auto got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer.data());
    if (got <= 0 || !mnl_nlmsg_ok(answer, static_cast<int>(got)) ||
        answer->nlmsg_seq != sequence_ || answer->nlmsg_type != RTM_NEWROUTE) {
        return false;
    }
    const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(answer));
    return route->rtm_type == RTN_UNICAST && route->rtm_dst_len > 0;
}

} // namespace linkbal
