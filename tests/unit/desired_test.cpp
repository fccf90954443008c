// SPDX-License-Identifier: GPL-2.0-or-later
// What a configuration asks for on a machine, apart from routes and rules.
#include <algorithm>

#include "core/attachment.h"
#include "core/buckets.h"
#include "gateway_cases.h"
#include "linkbal/abi.h"

using namespace linkbal;
using namespace linkbal::test;

TEST_CASE("a family that nobody carries has no rules, routes and buckets") {
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        Config config = two_links();
        for (UplinkConfig& link : config.uplinks) {
            (words.family == Family::ipv4 ? link.gateway : link.gateway6).reset();
        }
        const auto all = desired(config, machine());
        for (const Rule& rule : all.state.rules) {
            CHECK(rule.family != words.family);
        }
        for (const Route& route : all.state.routes) {
            CHECK(route.destination.family() != words.family);
        }
        const auto other = 1 - static_cast<size_t>(words.family);
        CHECK(all.state.datapath.buckets[1 - other].empty());
        CHECK(all.state.datapath.buckets[other].size() == LB_BUCKETS);
    }
}

TEST_CASE("sysctls: router advertisements before forwarding, forwarding last") {
    Facts facts = machine();
    device(facts, "eth2").accepts_router_advertisements = true;
    const std::vector<Sysctl> expected{
        {"net/ipv4/conf/eth1/rp_filter", "2"},
        {"net/ipv4/conf/eth1/src_valid_mark", "1"},
        {"net/ipv4/conf/eth1/ignore_routes_with_linkdown", "1"},
        {"net/ipv4/conf/eth2/rp_filter", "2"},
        {"net/ipv4/conf/eth2/src_valid_mark", "1"},
        {"net/ipv4/conf/eth2/ignore_routes_with_linkdown", "1"},
        {"net/ipv4/fib_multipath_hash_policy", "1"},
        {"net/ipv4/icmp_echo_ignore_broadcasts", "1"},
        {"net/netfilter/nf_conntrack_acct", "1"},
        {"net/ipv4/ip_forward", "1"},
        {"net/ipv6/conf/eth2/accept_ra", "2"},
        {"net/ipv6/conf/eth1/ignore_routes_with_linkdown", "1"},
        {"net/ipv6/conf/eth2/ignore_routes_with_linkdown", "1"},
        {"net/ipv6/fib_multipath_hash_policy", "1"},
        {"net/ipv6/conf/all/forwarding", "1"},
    };
    CHECK(desired(two_links(), facts).state.sysctls == expected);
}

TEST_CASE("IPv6 forwarding is left alone where no uplink carries IPv6") {
    Facts facts = machine();
    for (Interface& interface : facts.interfaces) {
        std::erase_if(interface.addresses, [](const InterfaceAddress& own) {
            return own.address.family() == Family::ipv6;
        });
    }
    for (const Sysctl& sysctl : desired(two_links(), facts).state.sysctls) {
        CHECK(sysctl.key.find("ipv6") == std::string::npos);
    }
}

TEST_CASE("a link that is no longer configured is kept for its open connections") {
    Memory memory;
    memory.uplinks = {
        {"velox1", "eth1", 1, 10, 1},
        {"old", "eth2", 2, 12, 7, {IpAddress::parse("192.168.2.1"), std::nullopt}, true}};
    Config config = two_links();
    config.uplinks.pop_back();
    const auto all = desired(config, machine(), memory);
    REQUIRE(all.uplinks.size() == 2);
    CHECK(all.uplinks[1].retired);
    const auto in_its_table = [](const auto& item) { return item.table == 12; };
    CHECK(std::ranges::count_if(all.state.rules, in_its_table) == 1); // its mark, nothing new
    CHECK(std::ranges::count_if(all.state.routes, in_its_table) == 2);
    CHECK(std::ranges::count(all.state.datapath.buckets[0], 2) == 0);
    CHECK(all.state.netfilter.uplinks.at(1).retired);
    CHECK(std::ranges::find(all.state.table_names, 12U, &TableName::table) ==
          all.state.table_names.end());
    for (const Route& route : all.state.routes) {
        CHECK((route.table == 12 || route.hops.front().device != "eth2"));
    }
}

TEST_CASE("a retired link yields its device, and ends where its table leads elsewhere") {
    Memory memory;
    memory.uplinks = {
        {"old", "eth2", 5, 11, 1, {IpAddress::parse("192.168.2.1"), std::nullopt}, true}};
    Config config = two_links(); // velox2 has table 11 and eth2
    const auto shared = desired(config, machine(), memory);
    REQUIRE(shared.uplinks.size() == 3);
    CHECK(shared.state.datapath.uplinks.size() == 2);
    std::swap(config.uplinks[0].table, config.uplinks[1].table);
    CHECK(desired(config, machine(), memory).uplinks.size() == 2);
}

TEST_CASE("LAN networks are the configuration's, or the subnets of the interfaces") {
    Config config = two_links();
    Facts facts = machine();
    CHECK(lan_networks(config, facts) == nets({"192.168.0.0/24", "2001:db8:0:1::/64"}));
    device(facts, "eth0").addresses.push_back(address("192.168.0.9/25"));
    device(facts, "eth0").addresses.push_back(address("192.168.0.2/24"));
    CHECK(lan_networks(config, facts) == nets({"192.168.0.0/24", "2001:db8:0:1::/64"}));
    config.lan.networks = nets({"2001:db8:aa::/48", "10.1.0.0/16", "10.0.0.0/8"});
    CHECK(lan_networks(config, facts) == nets({"10.0.0.0/8", "2001:db8:aa::/48"}));
    CHECK(desired(config, facts).state.netfilter.masqueraded == lan_networks(config, facts));
    config.lan.networks =
        nets({"10.0.0.0/8"}); // IPv6 is not named, and is masqueraded all the same
    CHECK(lan_networks(config, facts) == nets({"10.0.0.0/8", "2001:db8:0:1::/64"}));
    config.lan.networks.clear();
    config.lan.interfaces = {"eth9"};
    CHECK(lan_networks(config, facts).empty());
}

TEST_CASE("the bypass is minimal, sorted, and has what is local") {
    Config config = two_links();
    config.lan.networks = nets({"10.1.0.0/16"});
    Facts facts = machine();
    facts.foreign_routes = {route(main_table, "0.0.0.0/0", {via("192.168.1.1", "eth1")}),
                            route(main_table, "10.0.0.0/8", {via("192.168.0.9", "eth0")}),
                            route(main_table, "192.168.0.0/25", {through("eth0")}),
                            route(77, "203.0.113.0/24", {through("eth0")}),
                            route(main_table, "2001:db8:ff::/48", {through("eth0")})};
    CHECK(
        desired(config, facts).state.datapath.bypass ==
        nets({"10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.168.0.0/24", "192.168.1.0/24",
              "192.168.2.0/24", "224.0.0.0/4", "255.255.255.255/32", "::1/128", "2001:db8:0:1::/64",
              "2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:ff::/48", "fe80::/10", "ff00::/8"}));
}

TEST_CASE("a point-to-point interface's own address is bypassed beside the peer's") {
    Facts facts = machine();
    InterfaceAddress ours = address("198.51.100.7/32");
    ours.peer = ip("203.0.113.1");
    device(facts, "eth1").addresses.push_back(ours);
    const auto bypass = desired(two_links(), facts).state.datapath.bypass;
    CHECK(std::ranges::count(bypass, net("198.51.100.7/32")) == 1);
    CHECK(std::ranges::count(bypass, net("203.0.113.1/32")) == 1);
}

TEST_CASE("a full routing table does not fill the bypass") {
    Facts facts = machine();
    for (uint32_t i = 0; i < 6000; ++i) {
        const std::array<uint8_t, 4> bytes{20, static_cast<uint8_t>(i >> 8),
                                           static_cast<uint8_t>(i), 0};
        facts.foreign_routes.push_back(route(main_table, "0.0.0.0/0", {through("eth0")}));
        facts.foreign_routes.back().destination = Prefix(IpAddress(bytes), 24);
    }
    CHECK(desired(two_links(), facts).state.datapath.bypass.size() <= 4096);
}

TEST_CASE("an uplink's mark is its id within the mask") {
    CHECK(uplink_mark(1, 0x00ff0000) == 0x00010000);
    CHECK(uplink_mark(255, 0x00ff0000) == 0x00ff0000);
    CHECK(uplink_mark(3, 0x00000003) == 3);
    CHECK(uplink_mark(1, 0x80000000) == 0x80000000);
}

TEST_CASE("every uplink is in nftables, in the maps and has a name") {
    Config config = two_links();
    std::ranges::reverse(config.uplinks);
    Memory memory;
    memory.uplinks = {{"velox1", "eth1", 1, 10, 1, {}, false},
                      {"velox2", "eth2", 2, 11, 1, {}, false}};
    const auto all = desired(config, machine(), memory);
    CHECK(all.state.netfilter.uplinks ==
          std::vector<NetfilterUplink>{{"velox2", "eth2", 0x00020000},
                                       {"velox1", "eth1", 0x00010000}});
    CHECK(all.state.datapath.uplinks ==
          std::vector<DatapathUplink>{{1, "velox1", "eth1", 1}, {2, "velox2", "eth2", 1}});
    CHECK(all.state.table_names ==
          std::vector<TableName>{{11, "velox2"}, {10, "velox1"}, {30, "velox"}});
    CHECK(all.balance_table == 30);
    CHECK(all.state.datapath.lan_devices == std::vector<std::string>{"eth0"});
    CHECK(all.state.datapath.use_tcx);
}

TEST_CASE("buckets follow the weights and move as little as they can") {
    Config config = two_links();
    const auto before = desired(config, machine()).state.datapath.buckets;
    config.uplinks[0].weight = 3;
    const auto after = desired_state(config, machine(), {}, before, {});
    REQUIRE(after);
    for (const Family family : families) {
        const auto index = static_cast<size_t>(family);
        CHECK(std::ranges::count(after->state.datapath.buckets[index], 1) == 3 * LB_BUCKETS / 4);
        CHECK(moved(before[index], after->state.datapath.buckets[index]) == LB_BUCKETS / 4);
    }
}

TEST_CASE("a LAN interface that is not there is an error") {
    Config config = two_links();
    config.lan.interfaces.emplace_back("eth9");
    const auto result = desired_state(config, machine(), {}, {}, {});
    REQUIRE_FALSE(result);
    CHECK(result.error().message == "LAN: there is no interface eth9");
}

TEST_CASE("a link that is switched off has no routes and rules, and keeps its place") {
    Facts facts = machine();
    device(facts, "eth1").up = false;
    const auto all = desired(two_links(), facts);
    CHECK(all.uplinks[0].id == 1);
    CHECK(all.state.datapath.uplinks.size() == 2);
    CHECK(all.state.netfilter.uplinks.size() == 2);
    for (const Route& route : all.state.routes) {
        CHECK(route.table != 10);
        CHECK(route.hops[0].device == "eth2");
    }
    for (const Rule& rule : all.state.rules) {
        CHECK(rule.table != 10);
    }
    CHECK(std::ranges::count(all.state.datapath.buckets[0], 2) == LB_BUCKETS);
    device(facts, "eth2").up = false;
    const auto none = desired_state(two_links(), facts, {}, {}, {});
    REQUIRE_FALSE(none);
    CHECK(none.error().message == "none of the uplinks' interfaces is up");
}

TEST_CASE("what the kernel can do is what the datapath does") {
    for (const bool able : {true, false}) {
        const auto all = desired_state(two_links(), machine(), {}, {}, {able, !able});
        REQUIRE(all);
        CHECK(all->state.datapath.use_tcx == able);
        CHECK(all->state.datapath.conntrack_lookup == !able);
    }
}

TEST_CASE("attachments: both sides of the LAN, the way out of the uplinks") {
    DatapathState state;
    state.use_tcx = false;
    state.lan_devices = {"eth0"};
    state.uplinks = {{1, "velox1", "eth1", 1}};
    CHECK(wanted_attachments(state) ==
          std::vector<Attachment>{{"eth0", AttachRole::lan_ingress, false},
                                  {"eth0", AttachRole::lan_egress, false},
                                  {"eth1", AttachRole::uplink_egress, false}});
    CHECK_FALSE(role_of_program("lb_other"));
}
