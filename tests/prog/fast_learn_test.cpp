// SPDX-License-Identifier: GPL-2.0-or-later
// What the programs at egress remember of a connection, and of which they remember nothing.
#include <algorithm>
#include <cstring>

#include <net/if.h>
#include <netinet/in.h>

#include "devices.h"
#include "fast_world.h"
#include "kernel/bpf_map.h"
#include "support/conntrack_entry.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

constexpr uint32_t mark_of_uplink = FastWorld::uplink << 16;
// Of nf_conntrack_common.h.
constexpr uint32_t confirmed = 0x8, helper = 0x2000;

// A connection that began with packets like those of `flow`.
ConntrackEntry connection(const Flow& flow) {
    return {.source = flow.in.ends.source,
            .destination = flow.in.ends.destination,
            .protocol = flow.in.protocol,
            .source_port = flow.in.ends.source_port,
            .destination_port = flow.in.ends.destination_port,
            .mark = mark_of_uplink | 0xab00cdef,
            .nat_source = flow.out.ends.source,
            .nat_port = flow.out.ends.source_port,
            .nat_destination = flow.out.ends.destination,
            .nat_destination_port = flow.out.ends.destination_port};
}

// A connection with answers like the packets of `flow`.
ConntrackEntry answered_connection(const Flow& flow) {
    auto entry = connection(flow);
    std::swap(entry.source, entry.nat_destination);
    std::swap(entry.source_port, entry.nat_destination_port);
    std::swap(entry.destination, entry.nat_source);
    std::swap(entry.destination_port, entry.nat_port);
    return entry;
}

// The kernel has forwarded a packet of the flow, which is at egress now.
void leave(FastWorld& world, const Flow& flow, const Segment& segment) {
    const bool from_lan = flow.from == From::lan;
    Bytes frame = frame_of(segment);
    const Bytes before = frame;
    __sk_buff context{};
    context.ingress_ifindex = from_lan ? world.lan_ifindex() : world.uplink_ifindex();
    context.ifindex = from_lan ? world.uplink_ifindex() : world.lan_ifindex();
    CHECK(world.run_tc(from_lan ? "lb_count_tx" : "lb_count_rx", frame, context) == -1);
    CHECK(frame == before);
}
void leave(FastWorld& world, const Flow& flow) { leave(world, flow, flow.out); }

bool is_known(const FastWorld& world, const Flow& flow) {
    return world.flow_at(world.place_of(flow)).lease.end != 0;
}

// What an entry should be, but for its lease and counters.
void check_learned(const FastWorld& world, const Flow& flow, Place place) {
    const bool from_lan = flow.from == From::lan;
    const lb_flow entry = world.flow_at(place);
    CHECK(entry.ingress == (from_lan ? FastWorld::lan_slot : FastWorld::wan_slot));
    CHECK(entry.egress == (from_lan ? FastWorld::wan_slot : FastWorld::lan_slot));
    CHECK(std::ranges::equal(entry.mac, flow.out.to));
    CHECK(entry.protocol == flow.in.protocol);
    CHECK(entry.uplink == FastWorld::uplink);
    CHECK(entry.version.ttl == flow.out.ttl);
    CHECK(entry.version.dscp == (flow.out.tos & 0xfc));
    CHECK(entry.version.generation % 2 == 0);
    CHECK(world.tag_at(place) == place.tag);
    const Bytes bytes = world.raw_entry(place);
    if (is_ipv4(flow)) {
        const auto from = tuple4(flow.in.ends);
        const auto to = tuple4(flow.out.ends);
        CHECK(std::memcmp(bytes.data() + offsetof(lb_flow4, from), &from, sizeof(from)) == 0);
        CHECK(std::memcmp(bytes.data() + offsetof(lb_flow4, to), &to, sizeof(to)) == 0);
    } else {
        const auto from = tuple6(flow.in.ends);
        const auto to = tuple6(flow.out.ends);
        CHECK(std::memcmp(bytes.data() + offsetof(lb_flow6, from), &from, sizeof(from)) == 0);
        CHECK(std::memcmp(bytes.data() + offsetof(lb_flow6, to), &to, sizeof(to)) == 0);
    }
}

void check_lease(const FastWorld& world, const lb_lease& lease, uint32_t longest) {
    const uint32_t left = lease.end - world.now();
    CHECK(left <= longest);
    CHECK(left + 15 >= longest); // the test may have taken a second
    CHECK(lease.renew >= longest / 16);
    CHECK(lease.renew <= longest / 2);
    CHECK(lease.epoch == FastWorld::epoch);
}

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

TEST_CASE("a renewal keeps counters, and changes nothing but the lease") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        const Place place = world.put(flow);
        world.change(place, [&](lb_flow& f) {
            f.packets = 1234;
            f.bytes = 56789;
            f.lease = {.end = world.now() + 1, .renew = 0, .epoch = FastWorld::epoch - 1};
        });
        const auto before = world.flow_at(place);
        leave(world, flow);
        const auto after = world.flow_at(place);
        check_learned(world, flow, place);
        check_lease(world, after.lease, 15);
        CHECK(after.packets == 1234);
        CHECK(after.bytes == 56789);
        CHECK(after.version.generation == before.version.generation);
        world.change(place, [](lb_flow& f) { f.lease = {}; });
    }
}

TEST_CASE("another next hop is learned at once, and counters go on") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        const Place place = world.put(flow);
        world.change(place, [&](lb_flow& f) { f.packets = 77; });
        Flow moved = flow;
        moved.out.to = {2, 0, 0, 0, 0x77, 0x77};
        leave(world, moved);
        check_learned(world, moved, place);
        CHECK(world.flow_at(place).packets == 77);
        CHECK(world.flow_at(place).version.generation == 8);
        check_lease(world, world.flow_at(place).lease, 15);
        world.change(place, [](lb_flow& f) { f.lease = {}; });
    }
}

TEST_CASE("a full bucket is left as it is, and counted") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false, .buckets = 1});
    for (const auto& flow : some_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        for (uint32_t i = 0; i < LB_WAYS; ++i) {
            Flow other = flow;
            other.in.ends.source_port = static_cast<uint16_t>(1000 + i);
            Place place = world.place_of(other);
            place.index = i;
            world.write_raw(place, world.entry_of_flow(other));
            world.set_tag(place, place.tag);
        }
        const auto all = [&] {
            Bytes bytes;
            for (uint32_t i = 0; i < LB_WAYS; ++i) {
                bytes = bytes + world.raw_entry({flow.in.family, i, 0});
            }
            return bytes;
        };
        const Bytes before = all();
        const uint64_t full = world.lease_control().full;
        leave(world, flow);
        CHECK(all() == before);
        CHECK(world.lease_control().full == full + 1);
        // The one whose lease is over makes room.
        Place fourth = world.place_of(flow);
        fourth.index = 3;
        world.change(fourth, [&](lb_flow& f) {
            f.packets = f.bytes = 5;
            f.lease.end = world.now();
        });
        leave(world, flow);
        check_learned(world, flow, fourth);
        CHECK(world.flow_at(fourth).packets == 0);
        CHECK(world.flow_at(fourth).bytes == 0);
        CHECK(world.lease_control().full == full + 1);
        leave(world, flow); // and has its place now
        CHECK(world.lease_control().full == full + 1);
    }
}

TEST_CASE("a flow moves to where it is looked for first, and keeps one entry") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        const Place place = world.place_of(flow);
        const Place second = world.put(flow, 2);
        const Place third = world.put(flow, 5);
        world.change(second, [](lb_flow& f) { f.packets = 33; });
        leave(world, flow);
        check_learned(world, flow, place);
        CHECK(world.flow_at(place).packets == 33);
        CHECK(world.flow_at(place).lease.end != 0);
        CHECK(world.flow_at(second).lease.end == 0);
        CHECK(world.flow_at(third).lease.end == 0);
        world.change(place, [](lb_flow& f) { f.lease = {}; });
    }
}

TEST_CASE("a lease ends before conntrack's entry can") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        auto entry = connection(flow);
        entry.timeout = 40;
        need(add_conntrack(entry));
        world.set_lease_control({.ticks = 2000, .window = world.now(), .renewals = 0, .full = 0});
        const Place place = world.place_of(flow);
        leave(world, flow);
        const uint32_t left = world.flow_at(place).lease.end - world.now();
        CHECK(left <= 30 * world.ticks_per_second() + 1);
        CHECK(left >= 25 * world.ticks_per_second());
        world.change(place, [](lb_flow& f) { f.lease = {}; });
    }
}

TEST_CASE("a learned TCP connection has conntrack's timeout of established ones") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false, .timeouts = true});
    for (const auto& flow : some_flows()) {
        flush_conntrack();
        auto entry = connection(flow);
        entry.timeout = 40;
        need(add_conntrack(entry));
        leave(world, flow);
        CHECK(is_known(world, flow));
        const std::string family = is_ipv4(flow) ? "ipv4" : "ipv6";
        const auto line = output_of("conntrack -L -f " + family + " 2>/dev/null");
        INFO(line);
        // "tcp      6 999 ESTABLISHED src=..."; FastWorld's settings say 1000 s.
        const bool long_one = line.find(" 999 ") != std::string::npos ||
                              line.find(" 1000 ") != std::string::npos ||
                              line.find(" 998 ") != std::string::npos;
        CHECK(long_one == is_tcp(flow));
    }
}

TEST_CASE("a device's MAC address and smaller MTU are learned from what it sends") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.still = false});
    for (const auto& flow : all_flows()) {
        flush_conntrack();
        need(add_conntrack(connection(flow)));
        const uint32_t slot = flow.from == From::lan ? FastWorld::wan_slot : FastWorld::lan_slot;
        const size_t family = is_ipv4(flow) ? 0 : 1;
        auto wrong = world.interface_at(slot);
        wrong.mtu[0] = wrong.mtu[1] = 9000;
        wrong.mac[5] = 0x99;
        world.set_interface(slot, wrong);
        leave(world, flow);
        const auto right = world.interface_at(slot);
        CHECK(right.mtu[family] == 1500);
        CHECK(right.mtu[1 - family] == 9000);
        CHECK(std::ranges::equal(right.mac, flow.out.from));
        auto narrow = right;
        narrow.mtu[family] = 1280;
        world.set_interface(slot, narrow);
        leave(world, flow);
        CHECK(world.interface_at(slot).mtu[family] == 1280);
        world.set_interface(slot, right);
    }
}
