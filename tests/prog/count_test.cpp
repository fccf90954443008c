// SPDX-License-Identifier: GPL-2.0-or-later
// Packets and bytes of uplinks: forwarded ones only, and as they are on the wire.
#include <net/if.h>

#include "devices.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// A gateway of which "lan0" is the LAN and "wan0" the uplink 7.
struct Gateway {
    Gateway() {
        make_veth("lan0", "host0");
        make_veth("wan0", "router0");
        const std::vector<DatapathUplink> uplinks = {{7, "velox1", "wan0", 1}};
        need(instance.datapath().set_devices(std::vector<std::string>{"lan0"}, uplinks, {}));
    }

    lb_uplink_counters run(const char* program, const std::string& in, const std::string& out,
                           uint32_t segments = 0, uint32_t wire = 0) {
        const auto before = need(instance.datapath().counters()).uplinks.at(7);
        Bytes packet = frame(Ipv4{}, bytes_of(Tcp{.flags = tcp_ack}) + Bytes(46, 0)); // 100 bytes
        __sk_buff context{};
        context.ingress_ifindex = in.empty() ? 0 : if_nametoindex(in.c_str());
        context.ifindex = if_nametoindex(out.c_str());
        context.gso_segs = segments;
        context.wire_len = wire;
        CHECK(instance.run(program, packet, context) == -1);
        const auto after = need(instance.datapath().counters()).uplinks.at(7);
        return {after.tx_packets - before.tx_packets,
                after.tx_bytes - before.tx_bytes,
                after.rx_packets - before.rx_packets,
                after.rx_bytes - before.rx_bytes,
                0,
                0};
    }

    TestInstance instance;
};

void check(const lb_uplink_counters& counters, uint64_t tx_packets, uint64_t tx_bytes,
           uint64_t rx_packets, uint64_t rx_bytes) {
    CHECK(counters.tx_packets == tx_packets);
    CHECK(counters.tx_bytes == tx_bytes);
    CHECK(counters.rx_packets == rx_packets);
    CHECK(counters.rx_bytes == rx_bytes);
}

} // namespace

TEST_CASE("what is forwarded to an uplink is its tx") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    check(gateway.run("lb_count_tx", "lan0", "wan0"), 1, 100, 0, 0);
    check(gateway.run("lb_count_tx", "lan0", "wan0", 10, 5000), 10, 5000, 0, 0);
}

TEST_CASE("what an uplink sends into the LAN is its rx") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    check(gateway.run("lb_count_rx", "wan0", "lan0"), 0, 0, 1, 100);
    check(gateway.run("lb_count_rx", "wan0", "lan0", 3, 4000), 0, 0, 3, 4000);
}

TEST_CASE("the gateway's own packets and the LAN's among itself are not counted") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    check(gateway.run("lb_count_tx", "", "wan0"), 0, 0, 0, 0);
    check(gateway.run("lb_count_rx", "", "lan0"), 0, 0, 0, 0);
    check(gateway.run("lb_count_rx", "lan0", "lan0"), 0, 0, 0, 0);
    check(gateway.run("lb_count_tx", "lan0", "host0"), 0, 0, 0, 0);
    check(gateway.run("lb_count_tx", "wan0", "lan0"), 0, 0, 0, 0);
}
