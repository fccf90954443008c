// SPDX-License-Identifier: GPL-2.0-or-later
// Which devices forward by what, and which programs follow from that.
#include "core/forwarding.h"

#include <functional>

#include "plan_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using enum Forwarding;
using AttachRole::lan_egress;
using AttachRole::lan_fast;
using AttachRole::lan_ingress;
using AttachRole::raw_ingress;
using AttachRole::uplink_egress;
using AttachRole::uplink_ingress;

struct Case {
    std::string reason;
    Forwarding expected;
    std::function<void(Interface&)> change;
    DatapathMode mode = DatapathMode::automatic;
};

DeviceForwarding chosen(const Case& one, const std::vector<RefusedXdp>& refused = {}) {
    Facts facts = machine();
    Interface& eth1 = device(facts, "eth1");
    eth1.index = 7;
    one.change(eth1);
    return choose_forwarding(one.mode, true, {"eth1"}, facts, refused).at(0);
}

std::function<void(Interface&)> with_qdiscs(const std::vector<std::string>& kinds) {
    return [kinds](Interface& device) { device.qdiscs = kinds; };
}

DatapathDevice forwards(const std::string& name, Forwarding forwarding, bool ethernet = true) {
    DatapathDevice device;
    device.name = name;
    device.forwarding = forwarding;
    device.ethernet = ethernet;
    return device;
}

std::vector<Attachment> attachments(const std::vector<DatapathDevice>& devices) {
    DatapathState state;
    state.lan_devices = {"eth0"};
    state.uplinks = {{1, "velox1", "eth1", 1}, {2, "gone", "", 1}};
    state.devices = devices;
    return wanted_attachments(state);
}

} // namespace

TEST_CASE("forwarding: XDP where it fits, else tc and why") {
    const std::vector<Case> cases{
        {"native XDP", xdp, [](Interface&) {}},
        {"native XDP", xdp, with_qdiscs({"mq", "fq_codel", "pfifo_fast"})},
        {"native XDP", xdp, with_qdiscs({"noqueue"})},
        {"no Ethernet header", tc, [](Interface& d) { d.ethernet = false; }},
        {"part of br0", tc, [](Interface& d) { d.master = "br0"; }},
        {"bridge without native XDP", tc,
         [](Interface& d) {
             d.kind = "bridge";
             d.xdp.redirects = false;
         }},
        {"driver e1000e without native XDP", tc,
         [](Interface& d) {
             d.driver = "e1000e";
             d.xdp.redirects = false;
         }},
        {"device without native XDP", tc, [](Interface& d) { d.xdp.redirects = false; }},
        {"qdisc tbf, which XDP would go around", tc, with_qdiscs({"tbf"})},
        {"qdisc cake, which XDP would go around", tc, with_qdiscs({"mq", "fq", "cake"})},
        {"another XDP program is there", tc,
         [](Interface& d) { d.xdp.attached = true, d.xdp.program = 5; }},
        {"another XDP program is there", tc,
         [](Interface& d) { d.xdp.attached = true, d.xdp.program = 5, d.xdp.ours = 6; }},
        {"native XDP", xdp,
         [](Interface& d) { d.xdp.attached = true, d.xdp.program = d.xdp.ours = 5; }},
        // Many drivers are able as soon as they have a program of their own.
        {"native XDP", xdp, [](Interface& d) { d.xdp.receives = false; }},
        {"XDP can't redirect to it", tc,
         [](Interface& d) {
             d.xdp = {
                 .redirects = true, .receives = false, .attached = true, .program = 5, .ours = 5};
         }},
        {"veth: frames of local senders come with unfinished checksums", tc,
         [](Interface& d) { d.kind = "veth"; }},
        {"native XDP", xdp, [](Interface& d) { d.kind = "veth"; }, DatapathMode::xdp},
        {"veth whose peer has neither GRO nor an XDP program", tc,
         [](Interface& d) {
             d.kind = "veth";
             d.xdp.receives = false;
         },
         DatapathMode::xdp},
        {"part of br0", tc, [](Interface& d) { d.master = "br0"; }, DatapathMode::xdp},
        {"datapath = \"tc\"", tc, [](Interface&) {}, DatapathMode::tc},
        {"datapath = \"classify\"", classify, [](Interface&) {}, DatapathMode::classify},
    };
    for (const Case& one : cases) {
        INFO(one.reason);
        CHECK(chosen(one) == DeviceForwarding{"eth1", one.expected, one.reason});
    }
}

TEST_CASE("forwarding: a refusal holds for the same device with the same MTU") {
    const Case plain{"", xdp, [](Interface&) {}};
    CHECK(chosen(plain, {{7, 1500, "Invalid argument"}}) ==
          DeviceForwarding{"eth1", tc, "XDP refused: Invalid argument"});
    CHECK(chosen(plain, {{7, 9000, "Invalid argument"}}).forwarding == xdp);
    CHECK(chosen(plain, {{8, 1500, "Invalid argument"}}).forwarding == xdp);
}

TEST_CASE("forwarding: without conntrack's functions only marks are set") {
    for (const auto mode : {DatapathMode::automatic, DatapathMode::xdp, DatapathMode::tc}) {
        const auto all = choose_forwarding(mode, false, {"eth0", "eth1"}, machine(), {});
        REQUIRE(all.size() == 2);
        CHECK(all[1] == DeviceForwarding{"eth1", classify,
                                         "kernel without conntrack functions for BPF (6.0)"});
    }
}

TEST_CASE("forwarding: who asks for XDP is told where it is not") {
    const std::vector<DeviceForwarding> all{{"eth0", xdp, "native XDP"}, {"eth1", tc, "veth"}};
    CHECK(forwarding_warnings(DatapathMode::xdp, all) ==
          std::vector<std::string>{"eth1 forwards by tc: veth"});
    CHECK(forwarding_warnings(DatapathMode::automatic, all).empty());
    CHECK(forwarding_warnings(DatapathMode::automatic, {{"eth1", tc, "XDP refused: No"}}) ==
          std::vector<std::string>{"eth1 forwards by tc: XDP refused: No"});
}

TEST_CASE("forwarding: the name of the whole") {
    CHECK(datapath_mode_name({}) == "classify");
    CHECK(datapath_mode_name({forwards("a", xdp), forwards("b", xdp)}) == "xdp");
    CHECK(datapath_mode_name({forwards("a", tc)}) == "tc");
    CHECK(datapath_mode_name({forwards("a", classify)}) == "classify");
    CHECK(datapath_mode_name({forwards("a", xdp), forwards("b", tc)}) == "mixed");
}

TEST_CASE("forwarding: two entries a connection, every other place empty") {
    using Sizes = std::array<uint32_t, 2>;
    CHECK(flow_buckets(262144, {true, true}) == Sizes{131072, 98304});
    CHECK(flow_buckets(1025, {true, true}) == Sizes{513, 385});
    CHECK(flow_buckets(262144, {true, false}) == Sizes{131072, 1});
    CHECK(flow_buckets(16777216, {false, true}) == Sizes{1, 6291456});
}

TEST_CASE("attachments: what forwards where") {
    using All = std::vector<Attachment>;
    CHECK(attachments({forwards("eth0", classify), forwards("eth1", classify)}) ==
          All{{"eth0", lan_ingress, true},
              {"eth0", lan_egress, true},
              {"eth1", uplink_egress, true}});
    CHECK(attachments({forwards("eth0", tc), forwards("eth1", tc)}) ==
          All{{"eth0", lan_fast, true},
              {"eth0", lan_egress, true},
              {"eth1", uplink_ingress, true},
              {"eth1", uplink_egress, true}});
    CHECK(attachments({forwards("eth0", xdp), forwards("eth1", xdp)}) ==
          All{{"eth0", lan_ingress, true},
              {"eth0", lan_egress, true},
              {"eth0", AttachRole::xdp, true},
              {"eth1", uplink_egress, true},
              {"eth1", AttachRole::xdp, true}});
    CHECK(attachments({forwards("eth0", xdp), forwards("eth1", tc, false)}) ==
          All{{"eth0", lan_fast, true},
              {"eth0", lan_egress, true},
              {"eth0", AttachRole::xdp, true},
              {"eth1", raw_ingress, true},
              {"eth1", uplink_egress, true}});
    CHECK(attachments({forwards("eth0", tc), forwards("eth1", xdp)}) ==
          All{{"eth0", lan_fast, true},
              {"eth0", lan_egress, true},
              {"eth1", uplink_ingress, true},
              {"eth1", uplink_egress, true},
              {"eth1", AttachRole::xdp, true}});
}

TEST_CASE("attachments: roles, programs and places") {
    for (const auto role : {lan_ingress, lan_fast, lan_egress, uplink_ingress, raw_ingress,
                            uplink_egress, AttachRole::xdp}) {
        CHECK(role_of_program(attach_program(role)) == role);
    }
    CHECK_FALSE(role_of_program("lb_other"));
    CHECK(attach_direction(raw_ingress) == "ingress");
    CHECK(attach_direction(uplink_egress) == "egress");
    CHECK(attach_direction(AttachRole::xdp) == "xdp");
    CHECK(same_side(lan_ingress, lan_fast));
    CHECK(same_side(uplink_ingress, raw_ingress));
    CHECK_FALSE(same_side(lan_fast, uplink_ingress));
    CHECK_FALSE(same_side(lan_ingress, lan_egress));
}

// The desired state has it all, so the plan does.
TEST_CASE("forwarding: another mode loads other programs and takes over without a gap") {
    Config by_tc = two_links();
    by_tc.balance.datapath = DatapathMode::tc;
    Config by_xdp = two_links();
    by_xdp.balance.datapath = DatapathMode::xdp;
    CHECK(outline(change(two_links(), by_tc)) == "load devices attach");
    CHECK(outline(change(by_tc, two_links())) == "load devices attach detach");
    CHECK(outline(change(by_tc, by_xdp)) == "devices attach detach");
    CHECK(outline(change(by_xdp, by_tc)) == "devices attach detach");
    CHECK(change(by_xdp, by_xdp).empty());
}

TEST_CASE("forwarding: a new MAC address or MTU is written") {
    Config config = two_links();
    config.balance.datapath = DatapathMode::tc;
    const Desired done = desired(config);
    for (const bool mac : {true, false}) {
        Facts facts = machine();
        Interface& eth1 = device(facts, "eth1");
        mac ? eth1.mac = {2, 0, 0, 0, 0, 1} : eth1.mac = {};
        eth1.mtu = mac ? eth1.mtu : std::array<uint32_t, 2>{1492, 70000};
        const Memory memory = remembers(done);
        const Desired wanted = desired(config, facts, memory, done.state.datapath.buckets);
        const auto plan = make_plan(applied(done), wanted, memory);
        REQUIRE(outline(plan) == "devices");
        const auto devices = all_of<SetDevices>(plan).at(0).to.devices;
        CHECK(devices.at(1).name == "eth1");
        CHECK(devices.at(1).mac == eth1.mac);
        CHECK(devices.at(1).mtu ==
              (mac ? std::array<uint16_t, 2>{1500, 1500} : std::array<uint16_t, 2>{1492, 65535}));
    }
}

TEST_CASE("forwarding: what is known at load follows configuration and kernel") {
    Config config = two_links();
    config.balance.datapath = DatapathMode::tc;
    Facts facts = machine();
    facts.conntrack_max = 1000000;
    facts.tcp_timeout = 7200;
    const auto state = desired(config, facts).state.datapath;
    CHECK(state.fast_path);
    CHECK(state.flow_buckets == std::array<uint32_t, 2>{131072, 98304});
    CHECK(state.tcp_timeout == 7200);
    facts.conntrack_max = 4096;
    CHECK(desired(config, facts).state.datapath.flow_buckets[0] == 2048);
    Config larger = config;
    larger.balance.cache = 500000;
    CHECK(desired(larger, facts).state.datapath.flow_buckets[0] == 250000);
    CHECK(outline(change(config, larger)) == "load attach");
    const auto marks_only = desired(two_links()).state.datapath;
    CHECK_FALSE(marks_only.fast_path);
    CHECK(marks_only.flow_buckets == std::array<uint32_t, 2>{1, 1});
    CHECK(marks_only.tcp_timeout == 0);
}

TEST_CASE("forwarding: conntrack is told to be liberal as long as it sees only a part") {
    const Sysctl liberal{"net/netfilter/nf_conntrack_tcp_be_liberal", "1"};
    const Sysctl counting{"net/netfilter/nf_conntrack_acct", "1"};
    const auto has = [](const Desired& wanted, const Sysctl& one) {
        return std::ranges::find(wanted.state.sysctls, one) != wanted.state.sysctls.end();
    };
    Config by_tc = two_links();
    by_tc.balance.datapath = DatapathMode::tc;
    const Desired done = desired(by_tc);
    CHECK(has(done, liberal));
    CHECK(has(done, counting));
    const Desired marks_only = desired(two_links());
    CHECK(has(marks_only, counting));
    CHECK(std::ranges::count(marks_only.state.sysctls, liberal.key, &Sysctl::key) == 0);
    Memory memory = remembers(done);
    memory.sysctls[liberal.key] = "0";
    CHECK(has(desired(two_links(), machine(), memory), {liberal.key, "0"}));
}
