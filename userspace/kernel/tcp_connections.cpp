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

#include "kernel/nfnetlink.h"
#include "kernel/route_lookup.h"
#include "kernel/tracked_connection.h"

namespace linkbal {

namespace {

using IsBehindUs = std::function<bool(const IpAddress&)>;

TcpConnection as_client(const FlowTuple& direction) {
    return {direction.source, direction.destination, direction.source_port,
            direction.destination_port};
}

bool is_established(const TrackedConnection& entry) {
    return entry.tcp_state && *entry.tcp_state >= TCP_CONNTRACK_ESTABLISHED &&
           *entry.tcp_state <= TCP_CONNTRACK_LAST_ACK;
}

std::optional<TcpEntry> tcp_entry_in(const TrackedConnection& entry,
                                     const IsBehindUs& is_behind_us) {
    if (entry.original.protocol != IPPROTO_TCP || !is_established(entry)) {
        return std::nullopt;
    }
    const TcpConnection original = as_client(entry.original);
    const TcpConnection reply = as_client(entry.reply);
    // A port forward's opener may live in the uplink's own subnet, which has a route too: where the
    // destination was translated, the host behind it comes first.
    if ((entry.status & IPS_DST_NAT) != 0 && is_behind_us(reply.client)) {
        return TcpEntry{reply, original.server};
    }
    if (is_behind_us(original.client)) {
        return TcpEntry{original, reply.server};
    }
    return is_behind_us(reply.client) ? std::optional(TcpEntry{reply, original.server})
                                      : std::nullopt;
}

NfnetlinkMessage dump_request(uint32_t mark, uint32_t mask) {
    return make_message(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, AF_UNSPEC, NLM_F_DUMP,
                        [&](nlmsghdr* m) {
                            mnl_attr_put_u32(m, CTA_MARK, htonl(mark));
                            mnl_attr_put_u32(m, CTA_MARK_MASK, htonl(mask));
                        });
}

} // namespace

std::optional<TcpEntry> tcp_entry_of(const nlmsghdr& entry, const IsBehindUs& is_behind_us) {
    const auto found = tracked_connection_of(entry);
    return found ? tcp_entry_in(*found, is_behind_us) : std::nullopt;
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
        const auto tracked = tracked_connection_of(entry);
        const auto tcp = tracked && (tracked->mark & mask) == mark
                             ? tcp_entry_in(*tracked, is_behind_us)
                             : std::nullopt;
        if (!tcp) {
            return;
        }
        if (found.connections.size() < cap) {
            found.connections.push_back(tcp->connection);
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
