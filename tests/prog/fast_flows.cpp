// SPDX-License-Identifier: GPL-2.0-or-later
#include <tuple>

#include <linux/pkt_cls.h>
#include <netinet/in.h>

#include "fast_world.h"
#include "support/catch.h"

namespace linkbal::test {

namespace {

struct Addresses {
    Family family;
    const char* host;    // in the LAN
    const char* gateway; // of the uplink's device
    const char* server;  // in the internet
    const char* inner;   // where an inbound connection is forwarded to
};
constexpr std::array<Addresses, 2> addresses{
    {{Family::ipv4, "192.0.2.10", "198.51.100.5", "203.0.113.20", "192.0.2.99"},
     {Family::ipv6, "2001:db8:1::10", "2001:db8:5::5", "2001:db8:2::20", "2001:db8:1::99"}}};

// How a packet of the LAN's host to the server is translated.
struct Translation {
    bool source;
    bool destination;
};
constexpr std::array<Translation, 4> translations{
    {{true, false}, {false, true}, {true, true}, {false, false}}};

Endpoints before(const Addresses& a) { return {a.host, a.gateway, 40000, 443}; }

Endpoints after(const Addresses& a, Translation translation) {
    Endpoints ends = before(a);
    if (translation.source) {
        ends.source = a.inner;
        ends.source_port = 61001;
    }
    if (translation.destination) {
        ends.destination = a.server;
        ends.destination_port = 8443;
    }
    return ends;
}

Flow from_lan(const Addresses& a, uint8_t protocol, Translation translation) {
    Flow flow;
    flow.in.family = a.family;
    flow.in.protocol = protocol;
    flow.in.ends = before(a);
    flow.in.to = FastWorld::lan_mac;
    flow.in.from = FastWorld::host_mac;
    flow.out = flow.in;
    flow.out.ends = after(a, translation);
    flow.out.ttl = static_cast<uint8_t>(flow.in.ttl - 1);
    flow.out.to = FastWorld::router_mac;
    flow.out.from = FastWorld::wan_mac;
    return flow;
}

} // namespace

Flow answers(const Flow& flow) {
    Flow back = flow;
    back.from = flow.from == From::lan ? From::uplink : From::lan;
    back.in.ends = reversed(flow.out.ends);
    back.out.ends = reversed(flow.in.ends);
    std::tie(back.in.to, back.in.from) = std::tie(flow.out.from, flow.out.to);
    std::tie(back.out.to, back.out.from) = std::tie(flow.in.from, flow.in.to);
    return back;
}

std::vector<Flow> all_flows() {
    std::vector<Flow> flows;
    for (const auto& a : addresses) {
        for (const uint8_t protocol : Bytes{IPPROTO_TCP, IPPROTO_UDP}) {
            for (const auto& translation : translations) {
                flows.push_back(from_lan(a, protocol, translation));
                flows.push_back(answers(flows.back()));
            }
        }
    }
    return flows;
}

std::vector<Flow> some_flows() {
    std::vector<Flow> flows;
    for (const auto& a : addresses) {
        flows.push_back(from_lan(a, IPPROTO_TCP, {true, false}));
        flows.push_back(from_lan(a, IPPROTO_UDP, {true, false}));
    }
    return flows;
}

bool is_ipv4(const Flow& flow) { return flow.in.family == Family::ipv4; }
bool is_tcp(const Flow& flow) { return flow.in.protocol == IPPROTO_TCP; }

void check_left(FastWorld& world, Way way, From from, const Bytes& frame, lb_fast reason) {
    INFO((way == Way::xdp ? "XDP, " : "tc, ") << frame.size() << " bytes");
    const auto before = world.counters();
    const auto outcome = world.run(way, from, frame);
    CHECK(outcome.reason == reason);
    CHECK(outcome.action == (way == Way::xdp ? int{XDP_PASS} : TC_ACT_UNSPEC));
    CHECK(outcome.frame == frame);
    CHECK(world.counters().fast == before.fast);
}

void check_good(FastWorld& world, Way way, const Flow& flow) {
    check_forwarded(world, way, flow, frame_of(flow.in));
}

void check_forwarded(FastWorld& world, Way way, const Flow& flow, const Bytes& frame) {
    INFO((way == Way::xdp ? "XDP, " : "tc, ")
         << "protocol " << int{flow.in.protocol} << ", " << flow.in.ends.source << " to "
         << flow.in.ends.destination << ", leaves as " << flow.out.ends.source << " to "
         << flow.out.ends.destination);
    const auto outcome = world.run(way, flow.from, frame);
    CHECK(outcome.reason == LB_FAST_FORWARDED);
    CHECK(outcome.action == (way == Way::xdp ? int{XDP_REDIRECT} : TC_ACT_REDIRECT));
    CHECK(outcome.frame == frame_of(flow.out));
}

} // namespace linkbal::test
