// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/path_events.h"

#include <algorithm>
#include <array>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <unistd.h>

#include <linux/neighbour.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include "kernel/netlink_attributes.h"

namespace linkbal {

namespace {

constexpr uint16_t new_generation = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN;

std::optional<Concern> concern_of_route(const nlmsghdr& event) {
    const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&event));
    if ((header->rtm_flags & RTM_F_CLONED) != 0) {
        return std::nullopt;
    }
    // A new one may take anybody's packets; only who used it can miss an old one.
    const bool gone = event.nlmsg_type == RTM_DELROUTE;
    return Concern{gone ? Attributes(&event, sizeof(*header)).u32(RTA_OIF) : 0};
}

std::optional<LinkAddress> link_address_of(const Attributes& attributes) {
    LinkAddress address{};
    const nlattr* found = attributes.find(NDA_LLADDR);
    if (found == nullptr || mnl_attr_get_payload_len(found) != address.size()) {
        return std::nullopt;
    }
    std::copy_n(static_cast<const uint8_t*>(mnl_attr_get_payload(found)), address.size(),
                address.begin());
    return address;
}

} // namespace

Result<EventSocket> open_path_events() {
    return EventSocket::open(NETLINK_ROUTE,
                             {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP,
                              RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEIGH});
}

// The message that ends a transaction is a datagram of its own (nf_tables_gen_notify() in
// net/netfilter/nf_tables_api.c), so what the transaction was about need not wake anybody.
Result<EventSocket> open_ruleset_events() {
    constexpr uint16_t load_half = BPF_LD | BPF_H | BPF_ABS;
    constexpr uint16_t equal = BPF_JMP | BPF_JEQ | BPF_K;
    constexpr uint16_t leave = BPF_RET | BPF_K;
    std::array<sock_filter, 4> code{{{load_half, 0, 0, offsetof(nlmsghdr, nlmsg_type)},
                                     {equal, 1, 0, htons(new_generation)},
                                     {leave, 0, 0, 0},
                                     {leave, 0, 0, UINT32_MAX}}};
    const sock_fprog filter{code.size(), code.data()};
    return EventSocket::open(NETLINK_NETFILTER, {NFNLGRP_NFTABLES}, {.filter = &filter});
}

std::optional<Concern> concern_of_path(const nlmsghdr& event, uint32_t own_port) {
    if (event.nlmsg_pid == own_port) {
        return std::nullopt;
    }
    switch (event.nlmsg_type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        return concern_of_route(event);
    case RTM_NEWNEXTHOP: // routes that name it change with it, and make no events of their own
    case RTM_DELNEXTHOP:
    case RTM_NEWRULE:
    case RTM_DELRULE:
        return Concern{};
    default:
        return std::nullopt;
    }
}

bool is_foreign_ruleset(const nlmsghdr& event) {
    if (event.nlmsg_type != new_generation) {
        return false;
    }
    const Attributes attributes(&event, sizeof(nfgenmsg));
    return ntohl(attributes.u32(NFTA_GEN_PROC_PID)) != static_cast<uint32_t>(::getpid());
}

// An idle neighbour that the kernel forgets is deleted while its address is still valid. Whoever is
// deleted by hand, or does not answer, has failed before.
std::optional<NeighbourNews> neighbour_news_of(const nlmsghdr& event) {
    constexpr unsigned valid = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
    if (event.nlmsg_type != RTM_NEWNEIGH && event.nlmsg_type != RTM_DELNEIGH) {
        return std::nullopt;
    }
    const auto* header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(&event));
    const Attributes attributes(&event, sizeof(*header));
    const auto address = attributes.address(NDA_DST);
    const bool ours = header->ndm_family == AF_INET || header->ndm_family == AF_INET6;
    if (!ours || !address || (header->ndm_flags & NTF_PROXY) != 0) {
        return std::nullopt; // a bridge's table, for one
    }
    NeighbourNews news{static_cast<uint32_t>(header->ndm_ifindex), *address, std::nullopt};
    if (event.nlmsg_type == RTM_NEWNEIGH && (header->ndm_state & valid) != 0) {
        news.link_address = link_address_of(attributes);
        return news.link_address ? std::optional(news) : std::nullopt;
    }
    const bool failed = (header->ndm_state & NUD_FAILED) != 0;
    const bool gone = event.nlmsg_type == RTM_DELNEIGH && (header->ndm_state & valid) == 0;
    return failed || gone ? std::optional(news) : std::nullopt;
}

Status read_neighbours(NetlinkSocket& socket,
                       const std::function<void(const NeighbourNews&)>& each) {
    const NetlinkMessage query(RTM_GETNEIGH, 0, ndmsg{});
    const auto read = [&](const nlmsghdr* message) {
        if (const auto news = neighbour_news_of(*message)) {
            each(*news);
        }
    };
    return socket.dump(query, "read neighbours", read, [] {});
}

} // namespace linkbal
