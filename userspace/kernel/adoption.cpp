// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/adoption.h"

#include <array>
#include <cerrno>
#include <optional>
#include <vector>

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/netlink_attributes.h"
#include "kernel/nfnetlink.h"

namespace linkbal {

namespace {

Attributes nested(const nlattr* attribute) {
    return {mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute)};
}

// Where a direction's packets go to.
std::optional<IpAddress> destination_of(const nlattr* tuple) {
    const nlattr* addresses = tuple == nullptr ? nullptr : nested(tuple).find(CTA_TUPLE_IP);
    if (addresses == nullptr) {
        return std::nullopt;
    }
    const Attributes both = nested(addresses);
    const auto ipv4 = both.address(CTA_IP_V4_DST);
    return ipv4 ? ipv4 : both.address(CTA_IP_V6_DST);
}

// Answers come to the uplink's address where it was masqueraded to; first packets where it came in.
uint32_t mark_for(const Attributes& entry, const std::map<IpAddress, uint32_t>& marks) {
    for (const uint16_t direction : {uint16_t{CTA_TUPLE_REPLY}, uint16_t{CTA_TUPLE_ORIG}}) {
        const auto address = destination_of(entry.find(direction));
        const auto found = address ? marks.find(*address) : marks.end();
        if (found != marks.end()) {
            return found->second;
        }
    }
    return 0;
}

void copy_attribute(nlmsghdr* message, const nlattr* attribute) {
    if (attribute != nullptr) {
        mnl_attr_put(message, attribute->nla_type, mnl_attr_get_payload_len(attribute),
                     mnl_attr_get_payload(attribute));
    }
}

// Changes the bits of `mask` only (CTA_MARK_MASK, ctnetlink_change_mark() in the kernel).
NfnetlinkMessage change_message(const nlmsghdr& entry, const Attributes& attributes, uint32_t mark,
                                uint32_t mask) {
    const auto* head = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&entry));
    const auto fill = [&](nlmsghdr* message) {
        copy_attribute(message, attributes.find(CTA_TUPLE_ORIG));
        copy_attribute(message, attributes.find(CTA_ZONE));
        mnl_attr_put_u32(message, CTA_MARK, htonl(mark));
        mnl_attr_put_u32(message, CTA_MARK_MASK, htonl(mask));
    };
    return make_message(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, head->nfgen_family, NLM_F_ACK,
                        fill);
}

} // namespace

Status adopt_connections(const std::map<IpAddress, uint32_t>& marks, uint32_t mask) {
    auto socket = NfnetlinkSocket::open();
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    std::vector<NfnetlinkMessage> changes;
    const auto consider = [&](const nlmsghdr& entry) {
        const Attributes attributes(&entry, sizeof(nfgenmsg));
        const uint32_t wanted = mark_for(attributes, marks);
        if ((ntohl(attributes.u32(CTA_MARK)) & mask) != wanted) {
            changes.push_back(change_message(entry, attributes, wanted, mask));
        }
    };
    const auto all = make_message(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, AF_UNSPEC, NLM_F_DUMP);
    const auto read = socket->request(all, consider);
    if (!read && read.error().code != EINTR) { // changed meanwhile: as it always does
        return tl::unexpected(read.error().within("read connections"));
    }
    for (NfnetlinkMessage& change : changes) {
        const auto done = socket->request(std::move(change));
        if (!done && done.error().code != ENOENT) {
            return tl::unexpected(done.error().within("mark a connection"));
        }
    }
    return {};
}

} // namespace linkbal
