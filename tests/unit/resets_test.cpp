// SPDX-License-Identifier: GPL-2.0-or-later
// Messages and packets of connections that end with their uplink, as values.
#include <algorithm>
#include <cstring>

#include "support/catch.h"
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "kernel/dead_set.h"
#include "kernel/nft_describe.h"
#include "kernel/nft_dump.h"
#include "kernel/provocation.h"
#include "kernel/tcp_connections.h"

using namespace linkbal;

namespace {

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

TcpConnection ipv4() { return {address("192.0.2.9"), address("203.0.113.7"), 4000, 443}; }
TcpConnection ipv6() { return {address("2001:db8::9"), address("2001:db8:1::7"), 4000, 443}; }

uint32_t number(const std::vector<uint8_t>& bytes, size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
        value = value << 8U | bytes.at(at + i);
    }
    return value;
}

// RFC 1071: over everything, checksum included, it is 0xffff.
uint32_t sum(const std::vector<uint8_t>& bytes, size_t from, size_t to, uint32_t start = 0) {
    for (size_t i = from; i < to; ++i) {
        start += (i - from) % 2 == 0 ? uint32_t{bytes[i]} << 8U : uint32_t{bytes[i]};
    }
    while (start >> 16U != 0) {
        start = (start & 0xffffU) + (start >> 16U);
    }
    return start;
}

void put_tuple(nlmsghdr* message, uint16_t type, const TcpConnection& tuple, uint8_t protocol) {
    const bool is_ipv4 = tuple.client.family() == Family::ipv4;
    const auto put_address = [&](uint16_t attribute, const IpAddress& value) {
        mnl_attr_put(message, attribute, value.bytes().size(), value.bytes().data());
    };
    nlattr* nest = mnl_attr_nest_start(message, type);
    nlattr* network = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    put_address(is_ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.client);
    put_address(is_ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.server);
    mnl_attr_nest_end(message, network);
    nlattr* transport = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
    mnl_attr_put_u8(message, CTA_PROTO_NUM, protocol);
    mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(tuple.client_port));
    mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(tuple.server_port));
    mnl_attr_nest_end(message, transport);
    mnl_attr_nest_end(message, nest);
}

struct Entry {
    TcpConnection original;
    TcpConnection reply;
    uint8_t state = TCP_CONNTRACK_ESTABLISHED;
    uint32_t status = 0;
    uint8_t protocol = IPPROTO_TCP;
};

// 192.0.2.0/24 is behind us.
std::optional<TcpConnection> read(const Entry& entry) {
    const auto fill = [&](nlmsghdr* m) {
        put_tuple(m, CTA_TUPLE_ORIG, entry.original, entry.protocol);
        put_tuple(m, CTA_TUPLE_REPLY, entry.reply, entry.protocol);
        mnl_attr_put_u32(m, CTA_STATUS, htonl(entry.status));
        nlattr* info = mnl_attr_nest_start(m, CTA_PROTOINFO);
        nlattr* tcp = mnl_attr_nest_start(m, CTA_PROTOINFO_TCP);
        mnl_attr_put_u8(m, CTA_PROTOINFO_TCP_STATE, entry.state);
        mnl_attr_nest_end(m, tcp);
        mnl_attr_nest_end(m, info);
    };
    const auto message = make_message(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, AF_INET, 0, fill);
    const auto lan = Prefix::parse("192.0.2.0/24").value();
    return tcp_connection_of(*header(message), [&](const IpAddress& a) { return lan.contains(a); });
}

const TcpConnection masqueraded{address("203.0.113.7"), address("198.51.100.1"), 443, 61000};

} // namespace

TEST_CASE("a connection is seen from the LAN's end, whoever opened it") {
    CHECK(read({ipv4(), masqueraded}) == ipv4());
    const TcpConnection outside{address("203.0.113.7"), address("198.51.100.1"), 5000, 80};
    const TcpConnection host{address("192.0.2.9"), address("203.0.113.7"), 8080, 5000};
    CHECK(read({outside, host, TCP_CONNTRACK_ESTABLISHED, IPS_DST_NAT}) == host);
    CHECK(read({outside, host}) == host); // routed, not translated
    // The opener has a route of its own, as the uplink's subnet has: the translated end is ours.
    const TcpConnection neighbour{address("192.0.2.200"), address("198.51.100.1"), 5000, 80};
    const TcpConnection forwarded{address("192.0.2.9"), address("192.0.2.200"), 8080, 5000};
    CHECK(read({neighbour, forwarded, TCP_CONNTRACK_ESTABLISHED, IPS_DST_NAT}) == forwarded);
}

TEST_CASE("connections without a client of ours, or without an established one, are passed over") {
    const TcpConnection own{address("198.51.100.1"), address("203.0.113.7"), 4000, 443};
    const TcpConnection answer{address("203.0.113.7"), address("198.51.100.1"), 443, 4000};
    CHECK_FALSE(read({own, answer}));
    CHECK_FALSE(read({ipv4(), masqueraded, TCP_CONNTRACK_ESTABLISHED, 0, IPPROTO_UDP}));
    for (const uint8_t state : {TCP_CONNTRACK_NONE, TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_SYN_RECV,
                                TCP_CONNTRACK_TIME_WAIT, TCP_CONNTRACK_CLOSE}) {
        CHECK_FALSE(read({ipv4(), masqueraded, state}));
    }
    for (const uint8_t state : {TCP_CONNTRACK_ESTABLISHED, TCP_CONNTRACK_FIN_WAIT,
                                TCP_CONNTRACK_CLOSE_WAIT, TCP_CONNTRACK_LAST_ACK}) {
        CHECK(read({ipv4(), masqueraded, state}));
    }
}

TEST_CASE("a provocation is an acknowledging FIN with data from the server, checksums right") {
    const auto packet = provoking_packet(ipv4(), 0x01020304, 0x05060708);
    REQUIRE(packet.size() == 20 + 32 + 1);
    CHECK(number(packet, 2, 2) == packet.size());
    CHECK(packet[9] == IPPROTO_TCP);
    CHECK(number(packet, 12, 4) == 0xcb007107); // from the server
    CHECK(number(packet, 16, 4) == 0xc0000209);
    CHECK(number(packet, 20, 2) == 443);
    CHECK(number(packet, 22, 2) == 4000);
    CHECK(number(packet, 24, 4) == 0x01020304);
    CHECK(number(packet, 28, 4) == 0x05060708);
    CHECK(packet[32] >> 4U == 8);
    CHECK(packet[33] == 0x11); // FIN, ACK
    CHECK(number(packet, 40, 4) == 0x0101080a);
    CHECK(sum(packet, 0, 20) == 0xffff);
    CHECK(sum(packet, 20, 53, sum(packet, 12, 20) + IPPROTO_TCP + 33) == 0xffff);
}

TEST_CASE("a provocation over IPv6") {
    const auto packet = provoking_packet(ipv6(), 1, 2);
    REQUIRE(packet.size() == 40 + 33);
    CHECK(packet[0] == 0x60);
    CHECK(number(packet, 4, 2) == 33);
    CHECK(packet[6] == IPPROTO_TCP);
    CHECK(std::ranges::equal(std::span(packet).subspan(8, 16), ipv6().server.bytes()));
    CHECK(std::ranges::equal(std::span(packet).subspan(24, 16), ipv6().client.bytes()));
    CHECK(sum(packet, 40, 73, sum(packet, 8, 40) + IPPROTO_TCP + 33) == 0xffff);
}

TEST_CASE("elements of many connections are split so that no attribute outgrows its length") {
    std::vector<TcpConnection> many(3000, ipv6());
    many.push_back(ipv4());
    const auto messages = dead_element_messages("gw", many);
    REQUIRE(messages.size() == 4);
    CHECK(messages.front().what == "elements of set dead4");
    for (const auto& message : messages) {
        const auto* list = find_attribute(*header(message.message), NFTA_SET_ELEM_LIST_ELEMENTS);
        REQUIRE(list != nullptr);
        CHECK(message.message.size() < 65536);
    }
    CHECK(dead_element_messages("gw", {}).empty());
}

TEST_CASE("dead connections are not compared, their sets are") {
    const auto bare = [](const std::vector<NftMessage>& messages) {
        std::vector<NfnetlinkMessage> all{dead_set_message("gw", Family::ipv4)};
        std::ranges::transform(messages, std::back_inserter(all), &NftMessage::message);
        return all;
    };
    const std::vector<TcpConnection> one{ipv4()};
    const auto with = bare(dead_element_messages("gw", one));
    CHECK(nft_describe(with) == nft_describe(bare({})));
    CHECK(nft_describe(bare({})) != nft_describe({dead_set_message("gw", Family::ipv6)}));
    CHECK(dead_elements_of(with).size() == 1);
    // A set of the name that is not as we make it: its elements would not fit.
    CHECK(dead_elements_of({with[1]}).empty());
}
