// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/strays.h"

#include <cerrno>
#include <optional>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/netlink_attributes.h"
#include "kernel/nfnetlink.h"

namespace linkbal {

namespace {

constexpr size_t room = 256; // a tuple of IPv6 and an id take half of it

void put_original(nlmsghdr* message, const TcpConnection& connection) {
    const bool ipv4 = connection.client.family() == Family::ipv4;
    const auto put_address = [&](uint16_t type, const IpAddress& address) {
        mnl_attr_put(message, type, address.bytes().size(), address.bytes().data());
    };
    nlattr* tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
    nlattr* network = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    put_address(ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, connection.client);
    put_address(ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, connection.server);
    mnl_attr_nest_end(message, network);
    nlattr* transport = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
    mnl_attr_put_u8(message, CTA_PROTO_NUM, IPPROTO_TCP);
    mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(connection.client_port));
    mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(connection.server_port));
    mnl_attr_nest_end(message, transport);
    mnl_attr_nest_end(message, tuple);
}

NfnetlinkMessage entry_message(uint8_t type, const TcpConnection& connection,
                               std::optional<uint32_t> id = std::nullopt) {
    const uint8_t family = socket_family(connection.client.family());
    const auto fill = [&](nlmsghdr* m) {
        put_original(m, connection);
        if (id) {
            mnl_attr_put_u32(m, CTA_ID, *id);
        }
    };
    return make_message(NFNL_SUBSYS_CTNETLINK, type, family, 0, fill, room);
}

Attributes inside(const nlattr* nest) {
    return {nest == nullptr ? nullptr : mnl_attr_get_payload(nest),
            nest == nullptr ? 0 : size_t{mnl_attr_get_payload_len(nest)}};
}

bool is_stray(const Attributes& entry) {
    const Attributes protocol = inside(entry.find(CTA_PROTOINFO));
    const Attributes tcp = inside(protocol.find(CTA_PROTOINFO_TCP));
    const nlattr* state = tcp.find(CTA_PROTOINFO_TCP_STATE);
    return state != nullptr && mnl_attr_get_u8(state) == TCP_CONNTRACK_ESTABLISHED &&
           (ntohl(entry.u32(CTA_STATUS)) & IPS_SEEN_REPLY) == 0;
}

bool is_there(const Status& status) { return status || status.error().code != ENOENT; }

} // namespace

Status delete_strays(std::span<const TcpConnection> connections) {
    auto socket = NfnetlinkSocket::open();
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    for (const TcpConnection& connection : connections) {
        std::optional<uint32_t> stray; // the id: nothing that comes in its place is deleted
        const auto look = [&](const nlmsghdr& message) {
            const Attributes entry(&message, sizeof(nfgenmsg));
            if (is_stray(entry)) {
                stray = entry.u32(CTA_ID);
            }
        };
        auto done = socket->request(entry_message(IPCTNL_MSG_CT_GET, connection), look);
        if (done && stray) {
            done = socket->request(entry_message(IPCTNL_MSG_CT_DELETE, connection, stray));
        }
        if (is_there(done) && !done) {
            return tl::unexpected(done.error().within("delete stray connections"));
        }
    }
    return {};
}

} // namespace linkbal
