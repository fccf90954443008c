// SPDX-License-Identifier: GPL-2.0-or-later
// Entries of the flow cache that are not to be believed, and leases.
#include <netinet/in.h>

#include "fast_world.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// A frame of the flow is left to the kernel after `change` of its entry, and not before.
template <typename Change>
void check_entry(FastWorld& world, lb_fast reason, Change change) {
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            const Place place = world.put(flow);
            check_good(world, way, flow);
            world.change(place, change);
            const Bytes entry = world.raw_entry(place);
            check_left(world, way, flow.from, frame_of(flow.in), reason);
            CHECK(world.raw_entry(place) == entry);
        }
    }
}

// What the fast path does with a packet of the flow.
lb_fast judged(FastWorld& world, Way way, const Flow& flow) {
    const auto outcome = world.run(way, flow.from, frame_of(flow.in));
    const bool forwarded = outcome.reason == LB_FAST_FORWARDED;
    CHECK(outcome.frame == frame_of(forwarded ? flow.out : flow.in));
    return outcome.reason;
}

lb_lease lease_at(const FastWorld& world, uint32_t left, uint16_t renew) {
    return {.end = world.now() + left, .renew = renew, .epoch = FastWorld::epoch};
}

Segment ending(const Segment& segment, uint8_t flags) {
    Segment end = segment;
    end.flags = flags;
    return end;
}

} // namespace

TEST_CASE("unknown flows are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            check_left(world, way, flow.from, frame_of(flow.in), LB_FAST_MISS);
        }
    }
}

TEST_CASE("a flow is known by all of its addresses, ports and protocol") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.buckets = 1}); // all flows share it
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            for (uint32_t further = 0; further < LB_WAYS; ++further) {
                Flow empty = flow;
                empty.in.ends = empty.out.ends = {
                    is_ipv4(flow) ? "0.0.0.0" : "::", is_ipv4(flow) ? "0.0.0.0" : "::", 0, 0};
                world.put(empty, further);
            }
            world.put(flow);
            check_good(world, way, flow);
            for (int which = 0; which < 5; ++which) {
                Segment other = flow.in;
                other.ends.source.back() = which == 0 ? '7' : other.ends.source.back();
                other.ends.destination.back() = which == 1 ? '7' : other.ends.destination.back();
                other.ends.source_port ^= which == 2 ? 1 : 0;
                other.ends.destination_port ^= which == 3 ? 0x8000 : 0;
                other.protocol =
                    which == 4 ? static_cast<uint8_t>(is_tcp(flow) ? IPPROTO_UDP : IPPROTO_TCP)
                               : other.protocol;
                INFO("difference " << which);
                check_left(world, way, flow.from, frame_of(other), LB_FAST_MISS);
            }
        }
    }
}

TEST_CASE("an entry of another protocol is none") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    check_entry(world, LB_FAST_MISS, [](lb_flow& flow) { flow.protocol ^= 6 ^ 17; });
    check_entry(world, LB_FAST_MISS, [](lb_flow& flow) { flow.protocol = 0; });
}

TEST_CASE("an entry that is being written is none") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    check_entry(world, LB_FAST_MISS, [](lb_flow& flow) { flow.version.generation |= 1; });
    check_entry(world, LB_FAST_MISS, [](lb_flow& flow) { flow.version.generation = 0xffff; });
}

TEST_CASE("an entry whose lease is over is not believed") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    const uint32_t now = world.now();
    check_entry(world, LB_FAST_EXPIRED, [&](lb_flow& flow) { flow.lease.end = now; });
    check_entry(world, LB_FAST_EXPIRED, [&](lb_flow& flow) { flow.lease.end = now - 1; });
    check_entry(world, LB_FAST_EXPIRED, [&](lb_flow& flow) { flow.lease.end = now - 0x7fffffff; });
    check_entry(world, LB_FAST_EXPIRED, [&](lb_flow& flow) { flow.lease.end = now + 0x10000; });
    check_entry(world, LB_FAST_EXPIRED, [](lb_flow& flow) { flow.lease = {}; });
}

TEST_CASE("an entry of another epoch is not believed") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    check_entry(world, LB_FAST_EPOCH, [](lb_flow& flow) { flow.lease.epoch++; });
    check_entry(world, LB_FAST_EPOCH, [](lb_flow& flow) { flow.lease.epoch--; });
    check_entry(world, LB_FAST_EPOCH, [](lb_flow& flow) { flow.uplink = 8; });
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            world.put(flow);
            world.set_epoch(FastWorld::epoch + 1);
            check_left(world, way, flow.from, frame_of(flow.in), LB_FAST_EPOCH);
            world.set_epoch(FastWorld::epoch);
            check_good(world, way, flow);
        }
    }
}

TEST_CASE("the low bits of an epoch are what entries hold") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    world.set_epoch(0x70000 + FastWorld::epoch);
    for (const auto& flow : some_flows()) {
        for (const Way way : ways) {
            world.put(flow);
            check_good(world, way, flow);
        }
    }
}

TEST_CASE("an entry that leaves by a free slot is the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    check_entry(world, LB_FAST_NO_REDIRECT, [](lb_flow& flow) { flow.egress = 4; });
    check_entry(world, LB_FAST_NO_REDIRECT, [](lb_flow& flow) { flow.egress = 0xffff; });
}

TEST_CASE("an entry that comes by a free slot is the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    check_entry(world, LB_FAST_NOT_FOR_US, [](lb_flow& flow) { flow.ingress = 4; });
    check_entry(world, LB_FAST_NOT_FOR_US, [](lb_flow& flow) { flow.ingress = 0xffff; });
}

TEST_CASE("XDP needs a target for its redirects, tc does not") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        const bool from_lan = flow.from == From::lan;
        const uint32_t out = from_lan ? FastWorld::wan_slot : FastWorld::lan_slot;
        world.put(flow);
        world.set_redirect(out, 0);
        check_left(world, Way::xdp, flow.from, frame_of(flow.in), LB_FAST_NO_REDIRECT);
        check_good(world, Way::tc, flow);
        world.set_redirect(out, from_lan ? world.uplink_ifindex() : world.lan_ifindex());
        check_good(world, Way::xdp, flow);
    }
}

TEST_CASE("one packet renews a lease, and no other until a pause is over") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const Way way : ways) {
            const Place place = world.put(flow);
            const auto lease = [&](uint32_t left, uint16_t renew) {
                world.change(place, [&](lb_flow& f) { f.lease = lease_at(world, left, renew); });
            };
            lease(50, 49);
            CHECK(judged(world, way, flow) == LB_FAST_FORWARDED);
            lease(50, 50);
            CHECK(judged(world, way, flow) == LB_FAST_RENEWS);
            const uint16_t next = world.flow_at(place).lease.renew;
            CHECK(world.flow_at(place).lease.end == world.now() + 50);
            CHECK(next < 50);
            CHECK(next >= 25); // it is tried again before the lease ends
            for (int i = 0; i < 5; ++i) {
                CHECK(judged(world, way, flow) == LB_FAST_FORWARDED);
            }
            CHECK(world.flow_at(place).packets == 6);
            lease(next + 1U, next);
            CHECK(judged(world, way, flow) == LB_FAST_FORWARDED);
            lease(next, next);
            CHECK(judged(world, way, flow) == LB_FAST_RENEWS);
            CHECK(judged(world, way, flow) == LB_FAST_FORWARDED);
        }
    }
}

TEST_CASE("the last tick of a lease is tried once more, then all packets are the kernel's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : some_flows()) {
        for (const Way way : ways) {
            const Place place = world.put(flow);
            world.change(place, [&](lb_flow& f) { f.lease = lease_at(world, 1, 30); });
            CHECK(judged(world, way, flow) == LB_FAST_RENEWS);
            CHECK(judged(world, way, flow) == LB_FAST_FORWARDED);
            world.change(place, [&](lb_flow& f) { f.lease.end--; });
            for (int i = 0; i < 3; ++i) {
                CHECK(judged(world, way, flow) == LB_FAST_EXPIRED);
            }
        }
    }
}

// Where some devices have XDP and others have not, tc programs run behind XDP as well.
TEST_CASE("flows between devices with XDP are XDP's, all others are tc's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        world.put(flow);
        for (const Way lan : ways) {
            for (const Way wan : ways) {
                world.set_forwarding(lan, wan);
                const bool is_xdps = lan == Way::xdp && wan == Way::xdp;
                for (const Way way : ways) {
                    const auto outcome = world.run_mixed(way, flow.from, frame_of(flow.in));
                    const bool wanted = is_xdps == (way == Way::xdp);
                    CHECK(outcome.reason == (wanted ? LB_FAST_FORWARDED : LB_FAST_NO_REDIRECT));
                    CHECK(outcome.frame == frame_of(wanted ? flow.out : flow.in));
                }
            }
        }
    }
}

TEST_CASE("what XDP sends to the kernel to renew a lease, tc lets pass") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : some_flows()) {
        const Place place = world.put(flow);
        world.change(place, [&](lb_flow& f) { f.lease = lease_at(world, 50, 50); });
        world.set_forwarding(Way::xdp, Way::xdp);
        CHECK(world.run_mixed(Way::xdp, flow.from, frame_of(flow.in)).reason == LB_FAST_RENEWS);
        CHECK(world.run_mixed(Way::tc, flow.from, frame_of(flow.in)).reason == LB_FAST_NO_REDIRECT);
    }
}

TEST_CASE("XDP does not use up the renewals of flows that are tc's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    world.set_forwarding(Way::xdp, Way::tc);
    for (const auto& flow : some_flows()) {
        const Place place = world.put(flow);
        world.change(place, [&](lb_flow& f) { f.lease = lease_at(world, 50, 50); });
        const Bytes frame = frame_of(flow.in);
        CHECK(world.run_mixed(Way::xdp, flow.from, frame).reason == LB_FAST_NO_REDIRECT);
        CHECK(world.run_mixed(Way::tc, flow.from, frame).reason == LB_FAST_RENEWS);
        CHECK(world.run_mixed(Way::xdp, flow.from, frame).reason == LB_FAST_NO_REDIRECT);
        CHECK(world.run_mixed(Way::tc, flow.from, frame).reason == LB_FAST_FORWARDED);
    }
}

TEST_CASE("SYN, FIN and RST end the leases of both directions") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world;
    for (const auto& flow : all_flows()) {
        for (const uint8_t flags :
             Bytes{tcp_syn, tcp_syn | tcp_ack, tcp_fin | tcp_ack, tcp_rst, tcp_rst | tcp_ack}) {
            for (const Way way : ways) {
                const Flow back = answers(flow);
                const Place place = world.put(flow);
                const Place other = world.put(back);
                if (!is_tcp(flow)) {
                    continue;
                }
                check_good(world, way, back);
                check_left(world, way, flow.from, frame_of(ending(flow.in, flags)),
                           LB_FAST_TCP_FLAGS);
                CHECK(world.flow_at(place).lease.end == 0);
                CHECK(world.flow_at(place).lease.epoch == 0);
                CHECK(world.flow_at(other).lease.end == 0);
                CHECK(judged(world, way, flow) == LB_FAST_EXPIRED);
                CHECK(judged(world, way, back) == LB_FAST_EXPIRED);
            }
        }
    }
}

TEST_CASE("the end of a connection is no other one's") {
    LINKBAL_NEED_NAMESPACES();
    FastWorld world({.buckets = 1});
    for (const auto& flow : some_flows()) {
        Flow neighbour = flow;
        do { // until only the entry itself tells them apart
            neighbour.in.ends.source_port++;
            neighbour.out.ends.source_port++;
        } while (world.place_of(neighbour).tag != world.place_of(flow).tag);
        for (const Way way : ways) {
            world.put(flow);
            const bool same = world.place_of(flow).index == world.place_of(neighbour).index;
            world.put(neighbour, same ? 1 : 0);
            (void)world.run(way, flow.from, frame_of(ending(flow.in, tcp_rst)));
            CHECK(judged(world, way, neighbour) == LB_FAST_FORWARDED);
        }
    }
}
