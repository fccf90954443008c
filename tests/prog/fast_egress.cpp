// SPDX-License-Identifier: GPL-2.0-or-later
#include "fast_egress.h"

#include <algorithm>
#include <cstring>

#include "support/catch.h"

namespace linkbal::test {

namespace {

constexpr uint32_t mark_of_uplink = FastWorld::uplink << 16;

} // namespace

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

ConntrackEntry answered_connection(const Flow& flow) {
    auto entry = connection(flow);
    std::swap(entry.source, entry.nat_destination);
    std::swap(entry.source_port, entry.nat_destination_port);
    std::swap(entry.destination, entry.nat_source);
    std::swap(entry.destination_port, entry.nat_port);
    return entry;
}

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

} // namespace linkbal::test
