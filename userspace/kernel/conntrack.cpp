// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/conntrack.h"

#include <cerrno>

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/nfnetlink.h"

namespace linkbal {

namespace {

// Newer kernels leave the attribute out where the mark is 0.
uint32_t mark_of(const nlmsghdr& message) {
    const nlattr* mark = find_attribute(message, CTA_MARK);
    return mark != nullptr ? ntohl(mnl_attr_get_u32(mark)) : 0;
}

// Family AF_UNSPEC is every family.
NfnetlinkMessage conntrack_message(uint8_t type, uint16_t flags,
                                   const std::function<void(nlmsghdr*)>& fill = {},
                                   uint8_t family = AF_UNSPEC) {
    return make_message(NFNL_SUBSYS_CTNETLINK, type, family, flags, fill);
}

} // namespace

Result<std::map<uint32_t, uint64_t>> count_by_mark(uint32_t mask) {
    auto socket = NfnetlinkSocket::open();
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    std::map<uint32_t, uint64_t> counts;
    const auto count = [&](const nlmsghdr& m) { ++counts[mark_of(m) & mask]; };
    const auto done = socket->request(conntrack_message(IPCTNL_MSG_CT_GET, NLM_F_DUMP), count);
    if (!done && done.error().code != EINTR) { // changed meanwhile: as it always does
        return tl::unexpected(done.error().within("count connections"));
    }
    return counts;
}

Status delete_by_mark(uint32_t mark, uint32_t mask, std::optional<Family> family) {
    if (mask == 0 || (mark & ~mask) != 0) {
        return fail("delete connections: mark {:#x} is not within mask {:#x}", mark, mask);
    }
    auto socket = NfnetlinkSocket::open();
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    // Without a tuple the request is for all connections that the filter lets through.
    const auto filter = [&](nlmsghdr* m) {
        mnl_attr_put_u32(m, CTA_MARK, htonl(mark));
        mnl_attr_put_u32(m, CTA_MARK_MASK, htonl(mask));
    };
    auto message = conntrack_message(IPCTNL_MSG_CT_DELETE, 0, filter,
                                     family ? socket_family(*family) : uint8_t{AF_UNSPEC});
    // In a message of version 0 the family means nothing, as it did before it was looked at: the
    // kernel would delete both (ctnetlink_del_conntrack(), kernel 5.3 and later).
    static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(header(message)))->version = family ? 1 : 0;
    const auto done = socket->request(message);
    if (!done) {
        return tl::unexpected(
            done.error().within(fmt::format("delete connections of mark {:#x}/{:#x}", mark, mask)));
    }
    return {};
}

} // namespace linkbal
