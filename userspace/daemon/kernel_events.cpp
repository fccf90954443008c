// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/kernel_events.h"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <spdlog/spdlog.h>

#include "core/gateway_state.h"
#include "kernel/netlink_attributes.h"

namespace linkbal {

namespace {

constexpr unsigned up = IFF_UP;
constexpr unsigned running = IFF_RUNNING;

} // namespace

KernelEvents::KernelEvents(std::string table, uint32_t own_port, OnEvent on_event)
    : table_(std::move(table)), own_port_(own_port), on_event_(std::move(on_event)) {}

Result<std::unique_ptr<KernelEvents>> KernelEvents::open(asio::io_context& context,
                                                         const std::string& table,
                                                         uint32_t own_port, OnEvent on_event) {
    auto routes = EventSocket::open(
        NETLINK_ROUTE, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                        RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
                        RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_TC});
    auto nftables = EventSocket::open(NETLINK_NETFILTER, {NFNLGRP_NFTABLES});
    if (!routes || !nftables) {
        return tl::unexpected(routes ? nftables.error() : routes.error());
    }
    std::unique_ptr<KernelEvents> events(
        new KernelEvents(table, own_port, std::move(on_event))); // private constructor
    for (auto* socket : {&*routes, &*nftables}) {
        events->listeners_.emplace_back(
            context, std::move(*socket),
            [self = events.get()](EventSocket& arrived) { self->read(arrived); });
    }
    return events;
}

void KernelEvents::follow(const std::vector<std::string>& devices, const Facts& facts) {
    devices_ = {devices.begin(), devices.end()};
    flags_.clear();
    for (const Interface& interface : facts.interfaces) {
        if (devices_.contains(interface.name)) {
            flags_[interface.index] = (interface.up ? up : 0U) | (interface.running ? running : 0U);
        }
    }
}

void KernelEvents::read(EventSocket& socket) {
    const auto complete = socket.drain([this](const nlmsghdr& message) { judge(message); });
    if (!complete) {
        spdlog::error("{}", complete.error().message);
    } else if (!*complete) {
        spdlog::info("the kernel's events came faster than they were read: looking at everything");
        say(Urgency::moved);
    }
}

void KernelEvents::judge(const nlmsghdr& message) {
    switch (message.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        judge_link(message);
        break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        judge_address(message);
        break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        judge_route(message);
        break;
    case RTM_NEWRULE:
    case RTM_DELRULE:
        judge_rule(message);
        break;
    case RTM_NEWQDISC: // which of XDP and tc forwards may depend on it
    case RTM_DELQDISC:
    case RTM_NEWNETCONF: // forwarding, reverse path filter and others of the settings of devices
        say(Urgency::soon);
        break;
    default:
        judge_nftables(message);
        break;
    }
}

// Drivers say much that is no news: a link of ours matters when it appears, goes, or is switched.
void KernelEvents::judge_link(const nlmsghdr& message) {
    const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message));
    const auto known = flags_.find(static_cast<uint32_t>(header->ifi_index));
    if (known == flags_.end()) {
        const Attributes attributes(&message, sizeof(*header));
        say(devices_.contains(attributes.text(IFLA_IFNAME)) ? Urgency::moved : Urgency::soon);
        return;
    }
    const unsigned now = header->ifi_flags & (up | running);
    if (message.nlmsg_type == RTM_DELLINK || now != known->second) {
        known->second = now;
        say(Urgency::moved);
    } else {
        say(Urgency::soon); // its name, perhaps
    }
}

void KernelEvents::judge_address(const nlmsghdr& message) {
    const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(&message));
    say(flags_.contains(header->ifa_index) ? Urgency::moved : Urgency::soon);
}

void KernelEvents::judge_route(const nlmsghdr& message) {
    const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
    const bool cached = (header->rtm_flags & RTM_F_CLONED) != 0;
    if (message.nlmsg_pid == own_port_ || cached || header->rtm_table == RT_TABLE_LOCAL) {
        return;
    }
    // A gateway that somebody has learnt.
    const bool foreign_default = header->rtm_dst_len == 0 && header->rtm_table == RT_TABLE_MAIN &&
                                 header->rtm_protocol != route_protocol;
    say(foreign_default ? Urgency::at_once : Urgency::soon);
}

void KernelEvents::judge_rule(const nlmsghdr& message) {
    if (message.nlmsg_pid != own_port_) {
        say(Urgency::soon);
    }
}

// Every message about what is in a table names it in its first attribute (linux/netfilter/nf_tables.h).
// Elements of sets come and go with time; those that matter can't (they are constant).
void KernelEvents::judge_nftables(const nlmsghdr& message) {
    const auto type = static_cast<uint8_t>(message.nlmsg_type & 0xff);
    const bool elements = type == NFT_MSG_NEWSETELEM || type == NFT_MSG_DELSETELEM;
    if (message.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || type == NFT_MSG_NEWGEN || elements) {
        return;
    }
    const Attributes attributes(&message, sizeof(nfgenmsg));
    if (attributes.text(NFTA_TABLE_NAME) == table_) {
        say(Urgency::soon);
    }
}

void KernelEvents::say(Urgency urgency) { on_event_(urgency); }

} // namespace linkbal
