// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel tells of devices, and what becomes of those that would not have XDP.
#include <algorithm>
#include <array>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include "gateway_lab.h"
#include "kernel/sysctl.h"
#include "support/foreign_xdp.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

Interface seen(const std::string& name) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    REQUIRE(socket);
    const auto all = observe(*socket, "linkbal");
    INFO((all ? "" : all.error().message));
    REQUIRE(all);
    const Interface* found = all->facts.interface(name);
    REQUIRE(found != nullptr);
    return *found;
}

void ethtool(const std::string& words) {
    REQUIRE(run({"sh", "-c", "ethtool " + words}).status == 0);
}
void tc(const std::string& words) { REQUIRE(run({"sh", "-c", "tc " + words}).status == 0); }

DeviceForwarding forwarding_of(const GatewayLab& lab, const std::string& device) {
    const auto memory = lab.reconciler->memory();
    REQUIRE(memory);
    const auto found = std::ranges::find(memory->forwarding, device, &DeviceForwarding::device);
    REQUIRE(found != memory->forwarding.end());
    return *found;
}

bool has_xdp(const std::string& device) {
    return shown("link show dev " + device).find("prog/xdp") != std::string::npos;
}

// As XDP on veth needs it.
void want_xdp(GatewayLab& lab) {
    lab.config.balance.datapath = DatapathMode::xdp;
    for (const char* peer : {"lan0p", "wan1p", "wan2p"}) {
        ethtool(std::string("-K ") + peer + " gro on");
    }
}

} // namespace

TEST_CASE("what the choice of a way of forwarding depends on is read") {
    LINKBAL_OWN_GATEWAY(lab);
    ip("link set wan1 address 02:00:00:00:00:0a mtu 1400");
    REQUIRE(write_sysctl("net/ipv6/conf/wan1/mtu", "1300"));
    const auto veth = seen("wan1");
    CHECK(veth.kind == "veth");
    CHECK(veth.ethernet);
    CHECK(veth.mac == std::array<uint8_t, 6>{2, 0, 0, 0, 0, 10});
    CHECK(veth.mtu == std::array<uint32_t, 2>{1400, 1300});
    CHECK(veth.xdp.redirects);
    CHECK(!veth.xdp.receives);
    CHECK(!veth.xdp.attached);
    CHECK(std::ranges::none_of(veth.qdiscs, shapes));
    ethtool("-K wan1p gro on");
    CHECK(seen("wan1").xdp.receives);

    ip("link add br0 type bridge && ip link set wan1p master br0");
    CHECK(seen("br0").kind == "bridge");
    CHECK(!seen("br0").xdp.redirects);
    CHECK(seen("wan1p").master == "br0");
    CHECK(!seen("lo").ethernet);
    tc("qdisc add dev wan2 clsact");
    CHECK(std::ranges::none_of(seen("wan2").qdiscs, shapes));
    tc("qdisc add dev wan2 root tbf rate 1mbit burst 10k latency 10ms");
    CHECK(std::ranges::any_of(seen("wan2").qdiscs, shapes));
    attach_foreign("wan2");
    CHECK(seen("wan2").xdp.foreign());
}

TEST_CASE("veth is tc's unless XDP is asked for") {
    LINKBAL_OWN_GATEWAY(lab);
    lab.settle();
    CHECK(forwarding_of(lab, "wan1").forwarding == Forwarding::tc);
    CHECK(!has_xdp("wan1"));
    CHECK(read_sysctl("net/netfilter/nf_conntrack_tcp_be_liberal") == "1");
    want_xdp(lab);
    lab.settle();
    for (const char* device : {"lan0", "wan1", "wan2"}) {
        CHECK(forwarding_of(lab, device).forwarding == Forwarding::xdp);
        CHECK(has_xdp(device));
        CHECK(seen(device).xdp.ours != 0);
        CHECK(!seen(device).xdp.foreign());
    }
    lab.config.balance.datapath = DatapathMode::classify;
    lab.settle();
    CHECK(!has_xdp("wan1"));
    CHECK(read_sysctl("net/netfilter/nf_conntrack_tcp_be_liberal") == "0");
    CHECK(!lab.repaired());
}

TEST_CASE("a device whose driver refuses XDP is tc's until its MTU changes") {
    LINKBAL_OWN_GATEWAY(lab);
    want_xdp(lab);
    ip("link set wan1p mtu 9000"); // veth takes no XDP program while its peer may send that much
    lab.settle();
    CHECK(forwarding_of(lab, "wan1") ==
          DeviceForwarding{"wan1", Forwarding::tc, "XDP refused: Numerical result out of range"});
    CHECK(!has_xdp("wan1"));
    CHECK(has_xdp("wan2"));
    CHECK(has_xdp("lan0"));
    ip("link set wan1p mtu 1500");
    CHECK(lab.pass().actions.empty());
    ip("link set wan1 mtu 1400");
    lab.settle();
    CHECK(forwarding_of(lab, "wan1").forwarding == Forwarding::xdp);
    CHECK(has_xdp("wan1"));
    CHECK(!lab.repaired());
}

TEST_CASE("when every device refuses, the gateway comes up with tc") {
    LINKBAL_OWN_GATEWAY(lab);
    want_xdp(lab);
    for (const char* peer : {"lan0p", "wan1p", "wan2p"}) {
        ip(std::string("link set ") + peer + " mtu 9000");
    }
    CHECK(!lab.pass(Reconciler::Occasion::request).actions.empty());
    for (const char* device : {"lan0", "wan1", "wan2"}) {
        CHECK(forwarding_of(lab, device).forwarding == Forwarding::tc);
    }
    CHECK(lab.pass().actions.empty());
}

TEST_CASE("somebody else's XDP program is left alone, and XDP comes back when it goes") {
    LINKBAL_OWN_GATEWAY(lab);
    want_xdp(lab);
    attach_foreign("wan1");
    lab.settle();
    CHECK(forwarding_of(lab, "wan1") ==
          DeviceForwarding{"wan1", Forwarding::tc, "another XDP program is there"});
    CHECK(seen("wan1").xdp.foreign());
    CHECK(has_xdp("wan2"));
    ip("link set wan1 xdp off");
    lab.settle();
    CHECK(forwarding_of(lab, "wan1").forwarding == Forwarding::xdp);
    CHECK(!seen("wan1").xdp.foreign());
}

TEST_CASE("a qdisc that shapes takes a device from XDP, a new address is told to the programs") {
    LINKBAL_OWN_GATEWAY(lab);
    want_xdp(lab);
    lab.settle();
    tc("qdisc add dev wan1 root tbf rate 1mbit burst 10k latency 10ms");
    lab.settle();
    CHECK(forwarding_of(lab, "wan1").forwarding == Forwarding::tc);
    CHECK(!has_xdp("wan1"));
    ip("link set wan1 address 02:00:00:00:00:0a");
    CHECK(lab.pass().actions ==
          std::vector<std::vector<std::string>>{
              {"# map interfaces: wan1 forwards by tc, 02:00:00:00:00:0a, MTU 1500 and 1500"}});
    CHECK(lab.pass().actions.empty());
    CHECK(!lab.repaired());
}
