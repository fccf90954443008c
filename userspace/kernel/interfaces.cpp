// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/interfaces.h"

#include <algorithm>
#include <cstring>

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "kernel/netlink_attributes.h"

namespace linkbal {

namespace {

// Empty for hardware.
std::string kind_of(const Attributes& link) {
    const nlattr* info = link.find(IFLA_LINKINFO);
    return info == nullptr ? ""
                           : Attributes(mnl_attr_get_payload(info), mnl_attr_get_payload_len(info))
                                 .text(IFLA_INFO_KIND);
}

void read_xdp(const Attributes& link, Interface& interface) {
    const nlattr* nest = link.find(IFLA_XDP);
    if (nest == nullptr) {
        return;
    }
    const Attributes xdp(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest));
    const nlattr* attached = xdp.find(IFLA_XDP_ATTACHED);
    interface.xdp.attached = attached != nullptr && mnl_attr_get_u8(attached) != XDP_ATTACHED_NONE;
    interface.xdp.program = xdp.u32(IFLA_XDP_PROG_ID);
}

Interface interface_from(const nlmsghdr* message) {
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    const Attributes attributes(message, sizeof(*info));
    Interface interface;
    interface.name = attributes.text(IFLA_IFNAME);
    interface.index = static_cast<uint32_t>(info->ifi_index);
    interface.up = (info->ifi_flags & IFF_UP) != 0;
    interface.running = (info->ifi_flags & IFF_RUNNING) != 0;
    interface.point_to_point = (info->ifi_flags & (IFF_POINTOPOINT | IFF_NOARP)) != 0;
    interface.ethernet = info->ifi_type == ARPHRD_ETHER;
    interface.mtu.fill(attributes.u32(IFLA_MTU));
    interface.kind = kind_of(attributes);
    const nlattr* mac = attributes.find(IFLA_ADDRESS);
    if (mac != nullptr && mnl_attr_get_payload_len(mac) == interface.mac.size()) {
        std::memcpy(interface.mac.data(), mnl_attr_get_payload(mac), interface.mac.size());
    }
    interface.master_index = attributes.u32(IFLA_MASTER);
    read_xdp(attributes, interface);
    return interface;
}

void name_masters(std::vector<Interface>& interfaces) {
    const InterfaceNames names(interfaces);
    for (Interface& interface : interfaces) {
        if (interface.master_index != 0) {
            interface.master = names.name(interface.master_index);
        }
    }
}

void add_address(std::vector<Interface>& interfaces, const nlmsghdr* message) {
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    const Attributes attributes(message, sizeof(*info));
    const auto owner = std::ranges::find(interfaces, info->ifa_index, &Interface::index);
    // IFA_LOCAL is the own address and IFA_ADDRESS the peer's; IPv6 has only IFA_ADDRESS unless
    // there is a peer.
    const auto local = attributes.address(IFA_LOCAL);
    const auto remote = attributes.address(IFA_ADDRESS);
    if (owner == interfaces.end() || !(local || remote)) {
        return;
    }
    InterfaceAddress address{.address = local.value_or(*remote),
                             .prefix_length = info->ifa_prefixlen,
                             .peer = std::nullopt,
                             .link_scope = info->ifa_scope >= RT_SCOPE_LINK};
    if (local && remote && *local != *remote) {
        address.peer = remote;
    }
    owner->addresses.push_back(address);
}

Status read_addresses(NetlinkSocket& socket, std::vector<Interface>& interfaces) {
    ifaddrmsg query{};
    query.ifa_family = AF_UNSPEC;
    return socket.dump(
        {RTM_GETADDR, 0, query}, "read addresses",
        [&](const nlmsghdr* message) { add_address(interfaces, message); },
        [&] {
            for (Interface& interface : interfaces) {
                interface.addresses.clear();
            }
        });
}

} // namespace

Result<std::vector<Interface>> read_interfaces(NetlinkSocket& route_socket) {
    std::vector<Interface> interfaces;
    ifinfomsg query{};
    query.ifi_family = AF_UNSPEC;
    auto status = route_socket.dump(
        {RTM_GETLINK, 0, query}, "read interfaces",
        [&](const nlmsghdr* message) { interfaces.push_back(interface_from(message)); },
        [&] { interfaces.clear(); });
    if (status) {
        name_masters(interfaces);
        status = read_addresses(route_socket, interfaces);
    }
    if (!status) {
        return tl::unexpected(status.error());
    }
    return interfaces;
}

InterfaceNames::InterfaceNames(const std::vector<Interface>& interfaces) {
    for (const Interface& interface : interfaces) {
        by_name_.emplace(interface.name, interface.index);
        by_index_.emplace(interface.index, interface.name);
    }
}

uint32_t InterfaceNames::index(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? 0 : found->second;
}

std::string InterfaceNames::name(uint32_t index) const {
    const auto found = by_index_.find(index);
    return found == by_index_.end() ? fmt::format("#{}", index) : found->second;
}

} // namespace linkbal
