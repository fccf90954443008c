// SPDX-License-Identifier: GPL-2.0-or-later
// What the programs at egress remember of a connection, and of which they remember nothing.
#include <functional>
#include <utility>

#include <net/if.h>
#include <netinet/in.h>

#include "devices.h"
#include "fast_egress.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// Of nf_conntrack_common.h.
constexpr uint32_t confirmed = 0x8, helper = 0x2000;

// All but one thing is right: a packet of the flow at egress teaches nothing, and what was known of
// the connection is over if `ends`.
template <typename Change>
void check_unlearned(FastWorld& world, const Flow& flow, bool ends, Change change) {
    flush_conntrack();
    auto entry = connection(flow);
    change(entry);
    need(add_conntrack(entry));
    for (int i = 0; i < 3; ++i) {
        leave(world, flow);
    }
    CHECK_FALSE(is_known(world, flow));
    Flow back = answers(flow);
    const Place there = world.put(flow);
    const Place back_again = world.put(back);
    leave(world, flow);
    CHECK((world.flow_at(there).lease.end == 0) == ends);
    CHECK((world.flow_at(back_again).lease.end == 0) == ends);
    world.change(there, [](lb_flow& f) { f.lease = {}; });
    world.change(back_again, [](lb_flow& f) { f.lease = {}; });
}

} // namespace

TEST_CASE("a packet of an established connection teaches its flow") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const bool answered : {false, true}) {
        for (const auto& flow : all_flows()) {
            flush_conntrack();
            need(add_conntrack(answered ? answered_connection(flow) : connection(flow)));
            const Place place = world.place_of(flow);
            world.change(place, [](lb_flow& f) {
                f = {};
                f.packets = f.bytes = 9;
            });
            world.set_tag(place, 0);
            leave(world, flow);
            check_learned(world, flow, place);
            check_lease(world, world.flow_at(place).lease, 15);
            CHECK(world.flow_at(place).packets == 0);
            CHECK(world.flow_at(place).bytes == 0);
            // The whole circle: what is learned is what forwards.
            for (const Way way : ways) {
                world.change(place, [](lb_flow& f) { f.lease.renew = 0; });
                const auto outcome = world.run(way, flow.from, frame_of(flow.in));
                CHECK(outcome.reason == LB_FAST_FORWARDED);
                CHECK(outcome.frame == frame_of(flow.out));
            }
            world.change(place, [](lb_flow& f) { f.lease = {}; });
        }
    }
}

TEST_CASE("a packet teaches the TTL and the DSCP that the kernel sent") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        const Place place = world.place_of(flow);
        Flow other = flow;
        other.out.tos = 0xbb;
        other.out.ttl = 17;
        leave(world, other);
        check_learned(world, other, place);
        const auto before = world.flow_at(place);
        leave(world, flow);
        check_learned(world, flow, place);
        CHECK(world.flow_at(place).version.generation == before.version.generation + 2);
    }
}

TEST_CASE("what conntrack does not call established teaches nothing") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : some_flows()) {
        check_unlearned(world, flow, true, [](auto& e) { e.status = confirmed; });
        check_unlearned(world, flow, true, [](auto& e) { e.adjusted = true; });
        check_unlearned(world, flow, true, [](auto& e) { e.status |= helper; });
        check_unlearned(world, flow, true, [](auto& e) { e.mark = 8U << 16; });
        check_unlearned(world, flow, true, [](auto& e) { e.mark = 0; });
        check_unlearned(world, flow, false, [](auto& e) { e.source_port = 1; });
        // The states of enum tcp_conntrack but TCP_CONNTRACK_ESTABLISHED.
        for (const uint8_t state : Bytes{0, 1, 2, 4, 5, 6, 7, 8, 9}) {
            if (is_tcp(flow)) {
                INFO("state " << int{state});
                check_unlearned(world, flow, true, [&](auto& e) { e.tcp_state = state; });
            }
        }
    }
}

TEST_CASE("connections with a helper teach nothing") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (auto flow : some_flows()) {
        if (is_tcp(flow) && is_ipv4(flow)) {
            flow.in.ends.destination_port = flow.out.ends.destination_port = 21;
            check_unlearned(world, flow, true, [](auto& e) { e.helper = "ftp"; });
        }
    }
}

TEST_CASE("segments that end a connection end both of its flows at egress") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        for (const uint8_t flags : Bytes{tcp_fin | tcp_ack, tcp_rst, tcp_rst | tcp_ack, 0}) {
            flush_conntrack();
            need(add_conntrack(connection(flow)));
            const Place place = world.put(flow);
            const Place back = world.put(answers(flow));
            Segment end = flow.out;
            end.flags = flags;
            leave(world, flow, end);
            CHECK((world.flow_at(place).lease.end == 0) == is_tcp(flow));
            CHECK((world.flow_at(back).lease.end == 0) == is_tcp(flow));
        }
    }
}

TEST_CASE("what the fast path does not take teaches nothing") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        Segment syn = flow.out;
        syn.flags = tcp_syn;
        if (is_tcp(flow)) {
            leave(world, flow, syn);
        }
        Segment dying = flow.out;
        dying.ttl = 1;
        leave(world, flow, dying);
        CHECK_FALSE(is_known(world, flow));
    }
}

TEST_CASE("what tc has forwarded neither counts nor teaches at egress") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false, .tag = 0});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        const auto before = world.counters();
        leave(world, flow);
        CHECK_FALSE(is_known(world, flow));
        CHECK(world.counters().tx_packets == before.tx_packets);
        CHECK(world.counters().rx_packets == before.rx_packets);
    }
}

TEST_CASE("what the gateway sends, or forwards between its LANs, teaches nothing") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        const bool from_lan = flow.from == From::lan;
        const uint32_t out = from_lan ? world.uplink_ifindex() : world.lan_ifindex();
        for (const uint32_t in : {0U, out, if_nametoindex("host0")}) {
            Bytes frame = frame_of(flow.out);
            __sk_buff context{};
            context.ingress_ifindex = in;
            context.ifindex = out;
            CHECK(world.run_tc(from_lan ? "lb_count_tx" : "lb_count_rx", frame, context) == -1);
            CHECK_FALSE(is_known(world, flow));
        }
    }
}

namespace {

// Conntrack's state of a connection becomes another one.
void restate(const Flow& flow, uint8_t state) {
    flush_conntrack();
    auto entry = connection(flow);
    entry.tcp_state = state;
    need(add_conntrack(entry));
}

Segment with_flags(Segment segment, uint8_t flags) {
    segment.flags = flags;
    return segment;
}

constexpr uint8_t syn_received = 2, established = 3;

// A client's SYN has been answered; then its ACK comes, after `change` of what the SYN-ACK has noted.
// True if the server's packets have a lease then.
template <typename Change>
bool has_lease_after_handshake(FastWorld& world, const Flow& flow, Change change) {
    const Flow back = answers(flow);
    const Place place = world.place_of(back);
    restate(flow, syn_received);
    leave(world, back, with_flags(back.out, tcp_syn | tcp_ack));
    check_learned(world, back, place);
    CHECK(world.now() - world.flow_at(place).lease.end <= 1);
    CHECK(world.run(Way::tc, back.from, frame_of(back.in)).reason == LB_FAST_EXPIRED);
    restate(flow, established);
    world.change(place, change);
    leave(world, flow);
    CHECK(is_known(world, flow));
    const auto reason = world.run(Way::xdp, back.from, frame_of(back.in)).reason;
    for (const Place& used : {place, world.place_of(flow)}) {
        world.change(used, [](lb_flow& f) { f.lease = {}; });
        world.set_tag(used, 0);
    }
    return reason == LB_FAST_FORWARDED;
}

} // namespace

TEST_CASE("the ACK of a handshake gives a lease to what the SYN-ACK has noted") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    const auto noted = [&](auto change) {
        for (const auto& flow : all_flows()) {
            if (is_tcp(flow)) {
                CHECK(has_lease_after_handshake(world, flow, change.first) == change.second);
            }
        }
    };
    using Change = std::pair<std::function<void(lb_flow&)>, bool>;
    noted(Change{[](lb_flow&) {}, true});
    noted(Change{[](lb_flow& f) { f.lease = {}; }, false});
    noted(Change{[](lb_flow& f) { f.lease.end -= 17; }, false});
    noted(Change{[](lb_flow& f) { f.lease.epoch++; }, false});
}

TEST_CASE("a SYN-ACK of a connection that is not opening notes nothing") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        const Flow back = answers(flow);
        for (const uint8_t state : Bytes{0, 1, 3, 4, 5, 6, 7, 8, 9}) {
            if (is_tcp(flow)) {
                INFO("state " << int{state});
                restate(flow, state);
                leave(world, back, with_flags(back.out, tcp_syn | tcp_ack));
                CHECK(world.flow_at(world.place_of(back)).lease.end == 0);
            }
        }
    }
}
