// SPDX-License-Identifier: GPL-2.0-or-later
// What the programs at egress make of flows that they know, of full buckets, and of devices.
#include <algorithm>
#include <string>

#include "devices.h"
#include "fast_egress.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

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
