// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/tcp_connections.h"

#include <cerrno>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/netlink_attributes.h"
#include "kernel/nfnetlink.h"
#include "kernel/route_lookup.h"

namespace linkbal {

namespace {

using IsBehindUs = std::function<bool(const IpAddress&)>;

Attributes nested(const Attributes& outer, uint16_t type) {
    const nlattr* nest = outer.find(type);
    return {nest == nullptr ? nullptr : mnl_attr_get_payload(nest),
            nest == nullptr ? 0 : size_t{mnl_attr_get_payload_len(nest)}};
}

uint16_t port(const Attributes& transport, uint16_t type) {
    const nlattr* attribute = transport.find(type);
    return attribute == nullptr ? uint16_t{0} : ntohs(mnl_attr_get_u16(attribute));
}

uint8_t byte(const Attributes& attributes, uint16_t type) {
    const nlattr* attribute = attributes.find(type);
    return attribute == nullptr ? uint8_t{0} : mnl_attr_get_u8(attribute);
}

std::optional<IpAddress> address(const Attributes& network, uint16_t ipv4, uint16_t ipv6) {
    const auto found = network.address(ipv4);
    return found ? found : network.address(ipv6);
}

// One direction: as its sender's packets are before any NAT.
std::optional<TcpConnection> direction(const Attributes& entry, uint16_t type) {
    const Attributes tuple = nested(entry, type);
    const Attributes network = nested(tuple, CTA_TUPLE_IP);
    const Attributes transport = nested(tuple, CTA_TUPLE_PROTO);
    const auto from = address(network, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    const auto to = address(network, CTA_IP_V4_DST, CTA_IP_V6_DST);
    if (!from || !to || byte(transport, CTA_PROTO_NUM) != IPPROTO_TCP) {
        return std::nullopt;
    }
    return TcpConnection{*from, *to, port(transport, CTA_PROTO_SRC_PORT),
                         port(transport, CTA_PROTO_DST_PORT)};
}

bool is_established(const Attributes& entry) {
    const Attributes tcp = nested(nested(entry, CTA_PROTOINFO), CTA_PROTOINFO_TCP);
    const uint8_t state = byte(tcp, CTA_PROTOINFO_TCP_STATE);
    return state >= TCP_CONNTRACK_ESTABLISHED && state <= TCP_CONNTRACK_LAST_ACK;
}

NfnetlinkMessage dump_request(uint32_t mark, uint32_t mask) {
    return make_message(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, AF_UNSPEC, NLM_F_DUMP,
                        [&](nlmsghdr* m) {
                            mnl_attr_put_u32(m, CTA_MARK, htonl(mark));
                            mnl_attr_put_u32(m, CTA_MARK_MASK, htonl(mask));
                        });
}

} // namespace

// A port forward's opener may live in the uplink's own subnet, which has a route too: where the
// destination was translated, the host behind it comes first.
std::optional<TcpEntry> tcp_entry_of(const nlmsghdr& entry, const IsBehindUs& is_behind_us) {
    const Attributes attributes(&entry, sizeof(nfgenmsg));
    const auto original = direction(attributes, CTA_TUPLE_ORIG);
    const auto reply = direction(attributes, CTA_TUPLE_REPLY);
    if (!original || !reply || !is_established(attributes)) {
        return std::nullopt;
    }
    const bool translated = (ntohl(attributes.u32(CTA_STATUS)) & IPS_DST_NAT) != 0;
    if (translated && is_behind_us(reply->client)) {
        return TcpEntry{*reply, original->server};
    }
    if (is_behind_us(original->client)) {
        return TcpEntry{*original, reply->server};
    }
    return is_behind_us(reply->client) ? std::optional(TcpEntry{*reply, original->server})
                                       : std::nullopt;
}

std::optional<TcpConnection> tcp_connection_of(const nlmsghdr& entry,
                                               const IsBehindUs& is_behind_us) {
    const auto found = tcp_entry_of(entry, is_behind_us);
    return found ? std::optional(found->connection) : std::nullopt;
}

Result<TcpConnections> tcp_connections_by_mark(uint32_t mark, uint32_t mask, size_t cap) {
    auto socket = NfnetlinkSocket::open();
    auto routes = RouteLookup::open();
    if (!socket || !routes) {
        return tl::unexpected(socket ? routes.error() : socket.error());
    }
    TcpConnections found;
    const IsBehindUs is_behind_us = [&](const IpAddress& a) { return routes->is_behind_us(a); };
    const auto consider = [&](const nlmsghdr& entry) {
        const uint32_t actual = ntohl(Attributes(&entry, sizeof(nfgenmsg)).u32(CTA_MARK));
        const auto connection = (actual & mask) == mark ? tcp_connection_of(entry, is_behind_us)
                                                        : std::optional<TcpConnection>();
        if (!connection) {
            return;
        }
        if (found.connections.size() < cap) {
            found.connections.push_back(*connection);
        } else {
            ++found.left_out;
        }
    };
    const auto done = socket->request(dump_request(mark, mask), consider);
    if (!done && done.error().code != EINTR) { // changed meanwhile: as it always does
        return tl::unexpected(done.error().within("read TCP connections"));
    }
    return found;
}

} // namespace linkbal
