// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack_entry.h"

#include <cstring>

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "core/address.h"
#include "kernel/netlink.h"

namespace linkbal::test {

namespace {

template <typename T>
void raw(NetlinkMessage& message, uint16_t attribute, const T& value) {
    message.nest(attribute, [&](NetlinkMessage& m) { m.append(&value, sizeof(value)); });
}

struct End {
    IpAddress address;
    uint16_t port;
};

void tuple(NetlinkMessage& message, uint16_t attribute, const End& from, const End& to,
           uint8_t protocol) {
    const bool ipv4 = from.address.family() == Family::ipv4;
    message.nest(attribute, [&](NetlinkMessage& t) {
        t.nest(CTA_TUPLE_IP, [&](NetlinkMessage& ip) {
            ip.put(ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, from.address);
            ip.put(ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, to.address);
        });
        t.nest(CTA_TUPLE_PROTO, [&](NetlinkMessage& proto) {
            raw(proto, CTA_PROTO_NUM, protocol);
            raw(proto, CTA_PROTO_SRC_PORT, htons(from.port));
            raw(proto, CTA_PROTO_DST_PORT, htons(to.port));
        });
    });
}

} // namespace

Status add_conntrack(const ConntrackEntry& entry) {
    const End from{IpAddress::parse(entry.source).value(), entry.source_port};
    const End to{IpAddress::parse(entry.destination).value(), entry.destination_port};
    const bool ipv4 = from.address.family() == Family::ipv4;
    const nfgenmsg header{.nfgen_family = static_cast<uint8_t>(ipv4 ? AF_INET : AF_INET6),
                          .version = NFNETLINK_V0,
                          .res_id = 0};
    NetlinkMessage message(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW,
                           NLM_F_CREATE | NLM_F_EXCL, header);
    tuple(message, CTA_TUPLE_ORIG, from, to, entry.protocol);
    const End seen_as = entry.nat_source.empty()
                            ? from
                            : End{IpAddress::parse(entry.nat_source).value(), entry.nat_port};
    const End reached =
        entry.nat_destination.empty()
            ? to
            : End{IpAddress::parse(entry.nat_destination).value(), entry.nat_destination_port};
    tuple(message, CTA_TUPLE_REPLY, reached, seen_as, entry.protocol);
    raw(message, CTA_TIMEOUT, htonl(entry.timeout));
    raw(message, CTA_MARK, htonl(entry.mark));
    raw(message, CTA_STATUS, htonl(entry.status));
    if (entry.protocol == IPPROTO_TCP) {
        message.nest(CTA_PROTOINFO, [&](NetlinkMessage& info) {
            info.nest(CTA_PROTOINFO_TCP, [&](NetlinkMessage& tcp) {
                raw(tcp, CTA_PROTOINFO_TCP_STATE, entry.tcp_state);
            });
        });
    }
    if (entry.adjusted) {
        message.nest(CTA_SEQ_ADJ_ORIG, [&](NetlinkMessage& adjustment) {
            raw(adjustment, CTA_SEQADJ_CORRECTION_POS, htonl(1));
            raw(adjustment, CTA_SEQADJ_OFFSET_BEFORE, htonl(0));
            raw(adjustment, CTA_SEQADJ_OFFSET_AFTER, htonl(2));
        });
    }
    if (entry.helper != nullptr) {
        message.nest(CTA_HELP, [&](NetlinkMessage& help) {
            help.nest(CTA_HELP_NAME, [&](NetlinkMessage& name) {
                name.append(entry.helper, std::strlen(entry.helper) + 1);
            });
        });
    }
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    return socket ? socket->request(std::move(message), "adding a conntrack entry")
                  : tl::unexpected(socket.error());
}

} // namespace linkbal::test
