// SPDX-License-Identifier: GPL-2.0-or-later
// One verdict for every kind of packet, the mark that goes with it, and no byte changed.
#include <netinet/in.h>

#include "devices.h"
#include "support/conntrack_entry.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

constexpr uint8_t tcp = IPPROTO_TCP, udp = IPPROTO_UDP, icmp = IPPROTO_ICMP, gre = IPPROTO_GRE;
constexpr uint8_t icmpv6 = IPPROTO_ICMPV6, hop = IPPROTO_HOPOPTS, routing = IPPROTO_ROUTING;
constexpr uint8_t destination = IPPROTO_DSTOPTS, fragment = IPPROTO_FRAGMENT, ah = IPPROTO_AH;
constexpr uint16_t more_fragments = 0x2000;

struct Case {
    const char* name;
    Bytes packet;
    lb_verdict verdict;
};

Bytes tcp_with(uint8_t flags) { return bytes_of(Tcp{.flags = flags}); }
Bytes udp_header() { return bytes_of(Udp{}); }

std::vector<Case> ipv4_cases() {
    const Bytes syn = tcp_with(tcp_syn);
    const Bytes options = {1, 1, 1, 1, 1, 1, 1, 1};
    const Bytes router_alert = {0x94, 4, 0, 0};
    return {
        {"TCP SYN", frame(Ipv4{}, syn), LB_VERDICT_PICKED},
        {"TCP SYN with data", frame(Ipv4{}, syn + Bytes(100, 7)), LB_VERDICT_PICKED},
        {"TCP SYN ECE CWR", frame(Ipv4{}, tcp_with(tcp_syn | 0xc0)), LB_VERDICT_PICKED},
        {"TCP SYN-ACK", frame(Ipv4{}, tcp_with(tcp_syn | tcp_ack)), LB_VERDICT_ESTABLISHED},
        {"TCP ACK", frame(Ipv4{}, tcp_with(tcp_ack)), LB_VERDICT_ESTABLISHED},
        {"TCP FIN", frame(Ipv4{}, tcp_with(tcp_fin | tcp_ack)), LB_VERDICT_ESTABLISHED},
        {"TCP RST", frame(Ipv4{}, tcp_with(tcp_rst)), LB_VERDICT_ESTABLISHED},
        {"UDP", frame(Ipv4{.protocol = udp}, udp_header()), LB_VERDICT_PICKED},
        {"ICMP", frame(Ipv4{.protocol = icmp}, Bytes(8, 0)), LB_VERDICT_PROPOSED},
        {"GRE", frame(Ipv4{.protocol = gre}, Bytes(4, 0)), LB_VERDICT_PROPOSED},
        {"nothing after the header", frame(Ipv4{.protocol = 253}, {}), LB_VERDICT_PROPOSED},
        {"options, TCP SYN", frame(Ipv4{.options = options}, syn), LB_VERDICT_PICKED},
        {"options, TCP ACK", frame(Ipv4{.options = router_alert}, tcp_with(tcp_ack)),
         LB_VERDICT_ESTABLISHED},
        {"40 bytes of options, UDP",
         frame(Ipv4{.protocol = udp, .options = Bytes(40, 1)}, udp_header()), LB_VERDICT_PICKED},
        {"first fragment", frame(Ipv4{.protocol = udp, .fragment = more_fragments}, udp_header()),
         LB_VERDICT_PROPOSED},
        {"later fragment", frame(Ipv4{.protocol = udp, .fragment = 185}, Bytes(16, 0)),
         LB_VERDICT_PROPOSED},
        {"middle fragment, TCP", frame(Ipv4{.fragment = more_fragments | 1}, syn),
         LB_VERDICT_PROPOSED},
        {"don't fragment is no fragment", frame(Ipv4{.fragment = 0x4000}, syn), LB_VERDICT_PICKED},
        {"to the LAN", frame(Ipv4{.destination = "192.0.2.1"}, syn), LB_VERDICT_BYPASS},
        {"to a multicast group",
         frame(Ipv4{.destination = "224.0.0.251", .protocol = udp}, udp_header()),
         LB_VERDICT_BYPASS},
        {"ICMP to the LAN", frame(Ipv4{.destination = "192.0.2.1", .protocol = icmp}, Bytes(8, 0)),
         LB_VERDICT_BYPASS},
        {"version 5", frame(Ipv4{.version_ihl = 0x55}, syn), LB_VERDICT_MALFORMED},
        {"header of 16 bytes", frame(Ipv4{.version_ihl = 0x44}, syn), LB_VERDICT_MALFORMED},
        {"header beyond the packet", frame(Ipv4{.total_length = 40, .version_ihl = 0x4f}, syn),
         LB_VERDICT_MALFORMED},
        {"length below the header", frame(Ipv4{.total_length = 19}, syn), LB_VERDICT_MALFORMED},
        {"length 0", frame(Ipv4{.total_length = 0}, syn), LB_VERDICT_MALFORMED},
        {"TCP header in the padding", frame(Ipv4{.total_length = 39}, syn), LB_VERDICT_MALFORMED},
        {"UDP header in the padding",
         frame(Ipv4{.protocol = udp, .total_length = 27}, udp_header()), LB_VERDICT_MALFORMED},
        {"TCP data offset of 16 bytes", frame(Ipv4{}, bytes_of(Tcp{.words = 4})),
         LB_VERDICT_MALFORMED},
    };
}

std::vector<Case> ipv6_cases() {
    const Bytes syn = tcp_with(tcp_syn);
    Bytes endless;
    for (int i = 0; i < 9; ++i) {
        endless = endless + extension(destination);
    }
    return {
        {"TCP SYN", frame(Ipv6{}, syn), LB_VERDICT_PICKED},
        {"TCP SYN-ACK", frame(Ipv6{}, tcp_with(tcp_syn | tcp_ack)), LB_VERDICT_ESTABLISHED},
        {"TCP ACK", frame(Ipv6{}, tcp_with(tcp_ack)), LB_VERDICT_ESTABLISHED},
        {"UDP", frame(Ipv6{.next = udp}, udp_header()), LB_VERDICT_PICKED},
        {"ICMPv6", frame(Ipv6{.next = icmpv6}, Bytes(8, 0)), LB_VERDICT_PROPOSED},
        {"GRE", frame(Ipv6{.next = gre}, Bytes(4, 0)), LB_VERDICT_PROPOSED},
        {"no next header", frame(Ipv6{.next = IPPROTO_NONE}, {}), LB_VERDICT_PROPOSED},
        {"hop-by-hop, TCP SYN", frame(Ipv6{.next = hop}, extension(tcp) + syn), LB_VERDICT_PICKED},
        {"hop-by-hop, TCP ACK", frame(Ipv6{.next = hop}, extension(tcp) + tcp_with(tcp_ack)),
         LB_VERDICT_ESTABLISHED},
        {"routing of 24 bytes, UDP", frame(Ipv6{.next = routing}, extension(udp, 2) + udp_header()),
         LB_VERDICT_PICKED},
        {"authentication, TCP SYN", frame(Ipv6{.next = ah}, authentication(tcp) + syn),
         LB_VERDICT_PICKED},
        {"hop-by-hop, routing, destination, UDP",
         frame(Ipv6{.next = hop},
               extension(routing) + extension(destination) + extension(udp) + udp_header()),
         LB_VERDICT_PICKED},
        {"more extensions than are read", frame(Ipv6{.next = destination}, endless),
         LB_VERDICT_PROPOSED},
        {"first fragment", frame(Ipv6{.next = fragment}, ipv6_fragment(udp, 1) + udp_header()),
         LB_VERDICT_PROPOSED},
        {"later fragment", frame(Ipv6{.next = fragment}, ipv6_fragment(tcp, 0x0100) + Bytes(8, 0)),
         LB_VERDICT_PROPOSED},
        {"fragment after hop-by-hop",
         frame(Ipv6{.next = hop}, extension(fragment) + ipv6_fragment(tcp, 1) + syn),
         LB_VERDICT_PROPOSED},
        {"to the LAN", frame(Ipv6{.destination = "2001:db8:1::1"}, syn), LB_VERDICT_BYPASS},
        {"neighbour solicitation",
         frame(Ipv6{.destination = "ff02::1", .next = icmpv6}, Bytes(24, 0)), LB_VERDICT_BYPASS},
        {"version 4", frame(Ipv6{.version = 4}, syn), LB_VERDICT_MALFORMED},
        {"TCP header in the padding", frame(Ipv6{.payload_length = 19}, syn), LB_VERDICT_MALFORMED},
        {"payload length 0", frame(Ipv6{.payload_length = 0}, syn), LB_VERDICT_MALFORMED},
        {"extension beyond the packet",
         frame(Ipv6{.next = hop}, Bytes{tcp, 200, 0, 0, 0, 0, 0, 0} + syn), LB_VERDICT_MALFORMED},
    };
}

std::vector<Case> other_cases() {
    const Bytes syn = tcp_with(tcp_syn);
    const Bytes ip_in_vlan = Bytes{0, 100, 0x08, 0} + Bytes(40, 0);
    return {
        {"ARP", ethernet(0x0806, Bytes(28, 1)), LB_VERDICT_NOT_IP},
        {"VLAN", ethernet(0x8100, ip_in_vlan), LB_VERDICT_NOT_IP},
        {"802.1ad", ethernet(0x88a8, ip_in_vlan), LB_VERDICT_NOT_IP},
        {"PPPoE session", ethernet(0x8864, Bytes(48, 0)), LB_VERDICT_NOT_IP},
        {"802.3 length", ethernet(0x0040, Bytes(64, 0)), LB_VERDICT_NOT_IP},
    };
}

bool is_marked(lb_verdict verdict) {
    return verdict == LB_VERDICT_PICKED || verdict == LB_VERDICT_PINNED ||
           verdict == LB_VERDICT_PROPOSED;
}

void check_outcome(TestInstance& instance, const Case& expected) {
    INFO(expected.name);
    const auto outcome = instance.classify(expected.packet);
    CHECK(outcome.verdict == expected.verdict);
    CHECK(outcome.packet == expected.packet);
    CHECK(outcome.action == -1);
    CHECK(outcome.picks == (expected.verdict == LB_VERDICT_PICKED ? 1 : 0));
    CHECK((outcome.mark & 0xff00ffff) == TestInstance::foreign_mark);
    CHECK((instance.uplink_of(outcome.mark) != 0) == is_marked(expected.verdict));
}

// The verdict of the first `size` bytes of a packet whose transport header ends at `complete`.
lb_verdict truncated_verdict(size_t size, size_t complete) {
    return size < complete ? LB_VERDICT_MALFORMED : LB_VERDICT_PICKED;
}

// BPF_PROG_TEST_RUN takes no frame that ends within the IP header.
void check_truncations(TestInstance& instance, const Bytes& packet, size_t first, size_t complete) {
    for (size_t size = first; size <= packet.size(); ++size) {
        const Bytes cut(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(size));
        INFO(size << " of " << packet.size() << " bytes");
        const auto outcome = instance.classify(cut);
        CHECK(outcome.verdict == truncated_verdict(size, complete));
        CHECK(outcome.packet == cut);
    }
}

} // namespace

TEST_CASE("each kind of packet has its verdict") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    for (const auto& cases : {ipv4_cases(), ipv6_cases(), other_cases()}) {
        for (const auto& one : cases) {
            check_outcome(instance, one);
        }
    }
}

TEST_CASE("a packet may end anywhere") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    const Bytes syn = tcp_with(tcp_syn);
    const Bytes data(6, 0);
    check_truncations(instance, frame(Ipv4{}, syn + data), 34, 14 + 20 + 20);
    check_truncations(instance, frame(Ipv4{.options = Bytes(40, 1)}, syn), 34, 14 + 60 + 20);
    check_truncations(instance, frame(Ipv4{.protocol = udp}, udp_header() + data), 34, 14 + 20 + 8);
    check_truncations(instance, frame(Ipv6{}, syn + data), 54, 14 + 40 + 20);
    check_truncations(instance, frame(Ipv6{.next = udp}, udp_header() + data), 54, 14 + 40 + 8);
    check_truncations(instance,
                      frame(Ipv6{.next = hop}, extension(routing) + extension(tcp, 1) + syn + data),
                      54, 14 + 40 + 8 + 16 + 20);
}

TEST_CASE("a packet may end within its IP header") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    make_veth("lan0", "host0");
    need(instance.datapath().attach({"lan0", AttachRole::lan_ingress, false}));
    FrameSender host("host0");
    const auto malformed = [&] {
        return need(instance.datapath().counters()).verdicts.at(LB_VERDICT_MALFORMED).packets;
    };
    uint64_t expected = 0;
    for (const auto& packet : {frame(Ipv4{}, {}), frame(Ipv6{}, {})}) {
        for (size_t size = 14; size < packet.size(); ++size) {
            host.send(Bytes(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(size)));
            ++expected;
        }
    }
    CHECK(eventually([&] { return malformed() == expected; }));
}

TEST_CASE("conntrack's uplink wins over a pick") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    need(add_conntrack({"192.0.2.10", "203.0.113.20", tcp, 40000, 443, 0x11772233}));
    need(add_conntrack({"192.0.2.10", "203.0.113.20", udp, 40000, 443, 0x00780000}));
    need(add_conntrack({"2001:db8:1::10", "2001:db8:2::20", tcp, 40000, 443, 0x00790000}));
    need(add_conntrack({"2001:db8:1::10", "2001:db8:2::20", udp, 40000, 443, 0x007a0000}));
    const Bytes syn = tcp_with(tcp_syn);
    const std::vector<std::pair<Bytes, uint32_t>> expected = {
        {frame(Ipv4{}, syn), 0x77},
        {frame(Ipv4{.protocol = udp}, udp_header()), 0x78},
        {frame(Ipv6{}, syn), 0x79},
        {frame(Ipv6{.next = udp}, udp_header()), 0x7a},
        {frame(Ipv6{.next = hop}, extension(udp) + udp_header()), 0x7a},
    };
    for (const auto& [packet, uplink] : expected) {
        const auto outcome = instance.classify(packet);
        CHECK(outcome.verdict == LB_VERDICT_PINNED);
        CHECK(outcome.mark == ((TestInstance::foreign_mark & 0xff00ffff) | uplink << 16));
        CHECK(outcome.packet == packet);
    }
}

TEST_CASE("a known connection without an uplink is left to the fallback") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    need(add_conntrack({"192.0.2.10", "203.0.113.20", udp, 40000, 443, 0xff00ffff}));
    need(add_conntrack({"192.0.2.10", "192.0.2.1", udp, 40000, 443, 0}));
    const auto outcome = instance.classify(frame(Ipv4{.protocol = udp}, udp_header()));
    CHECK(outcome.verdict == LB_VERDICT_UNPINNED);
    CHECK(outcome.mark == TestInstance::foreign_mark);
    const auto local =
        instance.classify(frame(Ipv4{.destination = "192.0.2.1", .protocol = udp}, udp_header()));
    CHECK(local.verdict == LB_VERDICT_BYPASS);
    CHECK(local.mark == TestInstance::foreign_mark);
}

TEST_CASE("without conntrack lookups UDP is proposed by its ports") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance({.conntrack = false});
    need(add_conntrack({"192.0.2.10", "203.0.113.20", udp, 40000, 443, 0x00770000}));
    const auto packet = frame(Ipv4{.protocol = udp}, udp_header());
    const auto first = instance.classify(packet);
    CHECK(first.verdict == LB_VERDICT_PROPOSED);
    CHECK(instance.classify(packet).mark == first.mark);
    CHECK(instance.classify(frame(Ipv4{}, tcp_with(tcp_syn))).verdict == LB_VERDICT_PICKED);
    bool other = false;
    for (uint16_t port = 1; port < 64; ++port) {
        const auto bytes = frame(Ipv4{.protocol = udp}, bytes_of(Udp{.source = port}));
        other = other || instance.classified_mark(bytes) != first.mark;
    }
    CHECK(other);
}

TEST_CASE("a family without buckets marks nothing") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    need(instance.datapath().set_buckets(Family::ipv6, {}));
    const Bytes syn = tcp_with(tcp_syn);
    CHECK(instance.classify(frame(Ipv4{}, syn)).verdict == LB_VERDICT_PICKED);
    for (const auto& packet : {frame(Ipv6{}, syn), frame(Ipv6{.next = icmpv6}, Bytes(8, 0))}) {
        const auto outcome = instance.classify(packet);
        CHECK(outcome.verdict == LB_VERDICT_NO_UPLINK);
        CHECK(outcome.mark == TestInstance::foreign_mark);
    }
    CHECK(instance.classify(frame(Ipv6{}, tcp_with(tcp_ack))).verdict == LB_VERDICT_ESTABLISHED);
}

TEST_CASE("the mask may lie anywhere, and bits outside it stay") {
    LINKBAL_NEED_NAMESPACES();
    for (const uint32_t mask : {0x000000ffU, 0x0000ff00U, 0x00000700U, 0xff000000U, 0x80000000U}) {
        TestInstance instance({.mark_mask = mask, .uplinks = {{1, 1}}});
        const auto outcome = instance.classify(frame(Ipv4{}, tcp_with(tcp_syn)));
        CHECK(instance.uplink_of(outcome.mark) == 1);
        CHECK((outcome.mark & ~mask) == (TestInstance::foreign_mark & ~mask));
    }
}
