// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/neighbours.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "kernel/netlink_attributes.h"

namespace linkbal {

bool Neighbours::is_missing(const std::string& device, const IpAddress& address) {
    const uint32_t index = ::if_nametoindex(device.c_str());
    if (!socket_) {
        auto opened = NetlinkSocket::open(NETLINK_ROUTE);
        if (!opened) {
            return false;
        }
        socket_.emplace(*std::move(opened));
    }
    ndmsg header{};
    header.ndm_family = socket_family(address.family());
    NetlinkMessage query(RTM_GETNEIGH, 0, header);
    query.put(NDA_IFINDEX, index);
    bool missing = false;
    const auto read = [&](const nlmsghdr* message) {
        const auto* entry = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
        const Attributes attributes(message, sizeof(*entry));
        if (static_cast<uint32_t>(entry->ndm_ifindex) == index &&
            attributes.address(NDA_DST) == address) {
            missing = (entry->ndm_state & (NUD_INCOMPLETE | NUD_FAILED)) != 0;
        }
    };
    return socket_->dump(query, "read neighbours", read, [&] { missing = false; }) && missing;
}

} // namespace linkbal
