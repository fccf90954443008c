// SPDX-License-Identifier: GPL-2.0-or-later
// What the fast path forwards, byte for byte: frames made from nothing and those that come out.
#include <netinet/in.h>

#include "fast_world.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// The same change to what comes and to what should leave.
template <typename Change>
Flow with(Flow flow, Change change) {
    change(flow.in);
    change(flow.out);
    return flow;
}

// Placed and forwarded, as it is and padded.
void check_flow(FastWorld& world, const Flow& flow) {
    for (const Way way : ways) {
        world.put(flow);
        check_forwarded(world, way, flow, frame_of(flow.in));
        check_forwarded(world, way, flow, padded(frame_of(flow.in)));
    }
}

void check_flows(FastWorld& world, const std::vector<Flow>& flows) {
    for (const auto& flow : flows) {
        check_flow(world, flow);
    }
}

template <typename Change>
std::vector<Flow> all_with(Change change) {
    std::vector<Flow> flows;
    for (const auto& flow : all_flows()) {
        flows.push_back(with(flow, change));
    }
    return flows;
}

} // namespace

TEST_CASE("the fast path forwards what it knows, translated or not") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    check_flows(world, all_flows());
}

TEST_CASE("the fast path forwards payloads of any length") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const size_t size :
             std::vector<size_t>{0, 1, 2, 3, 5, 6, 17, 18, 19, 255, 1000, 1001}) {
            check_flow(world, with(flow, [&](Segment& segment) {
                           segment.payload = Bytes(size, static_cast<uint8_t>(size * 7 + 1));
                       }));
        }
    }
}

TEST_CASE("the fast path keeps TOS, and takes flows with any TTL") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const uint8_t tos :
             Bytes{0x00, 0x01, 0x02, 0x03, 0xb8, 0xbb, 0xfc, 0xff, 0x10, 0x08}) {
            check_flow(world, with(flow, [&](Segment& segment) { segment.tos = tos; }));
        }
        for (const uint8_t ttl : Bytes{2, 3, 128, 255}) {
            Flow other = flow;
            other.in.ttl = ttl;
            other.out.ttl = static_cast<uint8_t>(ttl - 1);
            check_flow(world, other);
        }
    }
}

TEST_CASE("the fast path forwards congestion marks within a flow") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            world.put(flow);
            for (const uint8_t ecn : Bytes{1, 2, 3}) {
                const Flow marked = with(flow, [&](Segment& segment) { segment.tos = ecn; });
                check_forwarded(world, way, marked, frame_of(marked.in));
            }
        }
    }
}

TEST_CASE("the fast path forwards ordinary flags and options of TCP") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const uint8_t more : Bytes{0x08, 0x20, 0x28, 0x40, 0x80, 0xe8}) {
        check_flows(world, all_with([&](Segment& segment) {
                        segment.flags = static_cast<uint8_t>(tcp_ack | more);
                        segment.options =
                            Bytes(segment.protocol == IPPROTO_TCP ? (more & 0x28U) : 0U, 1);
                    }));
    }
}

TEST_CASE("UDP without checksum stays without") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    check_flows(world, all_with([](Segment& segment) { segment.checksum = false; }));
}

TEST_CASE("a UDP checksum that comes out as 0 is sent as its complement") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (auto flow : all_flows()) {
        flow.out = with_zero_sum(flow.out);
        flow.in.payload = flow.out.payload;
        const Bytes expected = frame_of(flow.out);
        const size_t place = transport_place(flow.in.family) + (is_tcp(flow) ? 16U : 6U);
        REQUIRE(expected.at(place) == (is_tcp(flow) ? 0 : 0xff));
        REQUIRE(expected.at(place + 1) == (is_tcp(flow) ? 0 : 0xff));
        check_flow(world, flow);
    }
}

TEST_CASE("a checksum of 0xffff that comes in is 0 to the arithmetic") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (auto flow : all_flows()) {
        flow.in = with_zero_sum(flow.in);
        flow.out.payload = flow.in.payload;
        check_flow(world, flow);
    }
}

TEST_CASE("a packet of exactly the egress MTU is forwarded") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    check_flows(world, all_with([](Segment& segment) {
                    segment.payload.clear();
                    const size_t headers = frame_of(segment).size() - 14;
                    segment.payload = Bytes(FastWorld::mtu - headers, 0x77);
                }));
}

TEST_CASE("the fast path finds a flow wherever in its bucket it lies") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (uint32_t further = 0; further < LB_WAYS; ++further) {
        for (auto flow : some_flows()) {
            flow.in.ends.source_port = static_cast<uint16_t>(50000 + further);
            const Place place = world.put(flow, further);
            for (const Way way : ways) {
                check_forwarded(world, way, flow, frame_of(flow.in));
            }
            CHECK(world.flow_at(place).packets == 2);
        }
    }
}

TEST_CASE("what is forwarded is counted, for the flow and for the uplink") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    const auto flows = all_with([](Segment& segment) { segment.payload.clear(); });
    for (const auto& flow : flows) {
        const Place place = world.put(flow);
        const Bytes in = frame_of(flow.in);
        const auto before = world.counters();
        for (const Way way : ways) {
            check_forwarded(world, way, flow, padded(in));
        }
        const auto after = world.counters();
        const bool sent = flow.from == From::lan;
        CHECK(world.flow_at(place).packets == 2);
        CHECK(world.flow_at(place).bytes == 2 * in.size());
        CHECK(after.fast - before.fast == 2);
        CHECK(after.tx_packets - before.tx_packets == (sent ? 2 : 0));
        CHECK(after.tx_bytes - before.tx_bytes == (sent ? 2 * in.size() : 0));
        CHECK(after.rx_packets - before.rx_packets == (sent ? 0 : 2));
        CHECK(after.rx_bytes - before.rx_bytes == (sent ? 0 : 2 * in.size()));
    }
}

TEST_CASE("tc marks and labels a packet as the kernel's forwarding does") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    // TC_PRIO_* of linux/pkt_sched.h by the bits 0x1e of TOS: ip_tos2prio[] in net/ipv4/route.c.
    const std::vector<std::pair<uint8_t, uint32_t>> priorities = {
        {0x00, 0}, {0x02, 0}, {0x08, 2}, {0x10, 6}, {0x18, 4}, {0xb8, 4}, {0xe3, 0}};
    for (const auto& [tos, priority] : priorities) {
        for (const auto& flow : all_flows()) {
            const Flow marked = with(flow, [&, value = tos](Segment& s) { s.tos = value; });
            world.put(marked);
            const auto outcome = world.run(Way::tc, flow.from, frame_of(marked.in));
            const bool sent = flow.from == From::lan;
            CHECK(outcome.mark == (sent ? (FastWorld::mark & 0xff00ffff) | FastWorld::uplink << 16
                                        : FastWorld::mark));
            CHECK(outcome.priority == (flow.in.family == Family::ipv4 ? priority : 0));
        }
    }
}
