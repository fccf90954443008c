// SPDX-License-Identifier: GPL-2.0-or-later
// Routes and rules that a configuration asks for on a machine.
#include <algorithm>

#include "gateway_cases.h"
#include "linkbal/abi.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

std::vector<Route> routes_of(const Desired& all, uint32_t table, Family family) {
    std::vector<Route> routes;
    std::ranges::copy_if(all.state.routes, std::back_inserter(routes), [&](const Route& r) {
        return r.table == table && r.destination.family() == family;
    });
    return routes;
}

std::vector<Rule> rules_of(const Desired& all, Family family) {
    std::vector<Rule> rules;
    std::ranges::copy_if(all.state.rules, std::back_inserter(rules),
                         [&](const Rule& r) { return r.family == family; });
    return rules;
}

// velox3 on eth3, so that there are three links.
void add_third(Config& config, Facts& facts) {
    UplinkConfig link = uplink("velox3", "eth3");
    link.gateway = ip("192.168.3.1");
    link.gateway6 = ip("2001:db8:3::1");
    link.table = 12;
    config.uplinks.push_back(link);
    facts.interfaces.push_back(interface("eth3", {"192.168.3.2/24", "2001:db8:3::2/64"}));
}

// eth1 and eth2 as tunnels, without gateways.
void make_tunnels(Config& config, Facts& facts, const std::vector<size_t>& links) {
    for (const size_t i : links) {
        config.uplinks[i].gateway.reset();
        config.uplinks[i].gateway6.reset();
        device(facts, config.uplinks[i].interface).point_to_point = true;
    }
}

} // namespace

TEST_CASE("a link's table has its subnets and its default") {
    const auto all = desired(two_links(), machine());
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        Route subnet = route(10, words.subnet1, {through("eth1")}, words.plain_metric);
        if (words.family == Family::ipv4) {
            subnet.preferred_source = ip(words.own1);
        }
        const std::vector<Route> expected{
            route(10, words.any, {via(words.gateway1, "eth1")}, words.plain_metric), subnet};
        CHECK(routes_of(all, 10, words.family) == expected);
    }
    CHECK(std::ranges::is_sorted(all.state.routes));
}

TEST_CASE("two addresses in one subnet are one route, those in two are two") {
    Facts facts = machine();
    device(facts, "eth1").addresses.push_back(address("192.168.1.3/24"));
    device(facts, "eth1").addresses.push_back(address("203.0.113.2/29"));
    const auto routes = routes_of(desired(two_links(), facts), 10, Family::ipv4);
    REQUIRE(routes.size() == 3);
    CHECK(routes[1].destination == net("192.168.1.0/24"));
    CHECK(routes[1].preferred_source == ip("192.168.1.2"));
    CHECK(routes[2].destination == net("203.0.113.0/29"));
}

TEST_CASE("a point-to-point link's table reaches the peer") {
    Config config = two_links();
    Facts facts = machine();
    make_tunnels(config, facts, {0});
    InterfaceAddress ours = address("198.51.100.7/32");
    ours.peer = ip("198.51.100.1");
    device(facts, "eth1").addresses = {ours};
    const auto routes = routes_of(desired(config, facts), 10, Family::ipv4);
    Route peer = route(10, "198.51.100.1/32", {through("eth1")});
    peer.preferred_source = ip("198.51.100.7");
    CHECK(routes == std::vector<Route>{route(10, "0.0.0.0/0", {through("eth1")}), peer});
}

TEST_CASE("the balancing table has one hop a link, by weight") {
    struct Case {
        std::vector<uint32_t> weights, hops;
    };
    const std::vector<Case> cases{
        {{1, 1}, {1, 1}},          {{3, 1}, {3, 1}},         {{256, 255}, {256, 255}},
        {{1000, 1}, {256, 1}},     {{512, 2}, {256, 1}},     {{300, 150}, {256, 128}},
        {{1000, 500}, {256, 128}}, {{257, 257}, {256, 256}},
    };
    for (const Case& one : cases) {
        Config config = two_links();
        config.uplinks[0].weight = one.weights[0];
        config.uplinks[1].weight = one.weights[1];
        const auto all = desired(config, machine());
        for (const FamilyWords& words : both_families) {
            INFO(words.any << " " << one.weights[0] << ":" << one.weights[1]);
            CHECK(routes_of(all, 30, words.family) ==
                  std::vector<Route>{route(30, words.any,
                                           {via(words.gateway1, "eth1", one.hops[0]),
                                            via(words.gateway2, "eth2", one.hops[1])},
                                           words.plain_metric)});
        }
    }
}

TEST_CASE("hops are sorted by device, as the kernel's are when they are read") {
    Config config = two_links();
    std::ranges::reverse(config.uplinks);
    const auto routes = routes_of(desired(config, machine()), 30, Family::ipv4);
    REQUIRE(routes.size() == 1);
    CHECK(routes[0].hops == std::vector{via("192.168.1.1", "eth1"), via("192.168.2.1", "eth2")});
}

TEST_CASE("one link is a plain route, whatever its weight") {
    Config config = two_links();
    config.uplinks.resize(1);
    config.uplinks[0].weight = 900;
    const auto all = desired(config, machine());
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        CHECK(routes_of(all, 30, words.family) ==
              std::vector<Route>{
                  route(30, words.any, {via(words.gateway1, "eth1")}, words.plain_metric)});
    }
}

TEST_CASE("only the lowest tier that carries a family is balanced over") {
    Config config = two_links();
    Facts facts = machine();
    config.uplinks[0].tier = 2;
    config.uplinks[1].tier = 5;
    config.uplinks[0].gateway6.reset(); // IPv6: the second tier's link is all there is
    const auto all = desired(config, facts);
    CHECK(routes_of(all, 30, Family::ipv4).at(0).hops == std::vector{via("192.168.1.1", "eth1")});
    CHECK(routes_of(all, 30, Family::ipv6).at(0).hops == std::vector{via("2001:db8:2::1", "eth2")});
    CHECK(std::ranges::count(all.state.datapath.buckets[0], 1) == LB_BUCKETS);
    CHECK(std::ranges::count(all.state.datapath.buckets[1], 2) == LB_BUCKETS);
    // The other link keeps its table and its rules: connections may use it, and sockets.
    CHECK(routes_of(all, 11, Family::ipv4).size() == 2);
}

// "Device only routes can not be added for IPv6 using the multipath API" (kernel 4.19 and later).
TEST_CASE("IPv6 balances over hops with a gateway only, where there are several") {
    Config config = two_links();
    Facts facts = machine();
    add_third(config, facts);
    make_tunnels(config, facts, {1});
    config.uplinks[2].weight = 4;
    auto all = desired(config, facts);
    CHECK(routes_of(all, 30, Family::ipv4).at(0).hops ==
          std::vector{via("192.168.1.1", "eth1"), through("eth2"), via("192.168.3.1", "eth3", 4)});
    CHECK(routes_of(all, 30, Family::ipv6).at(0).hops ==
          std::vector{via("2001:db8:1::1", "eth1"), via("2001:db8:3::1", "eth3", 4)});

    make_tunnels(config, facts, {0, 2});
    all = desired(config, facts);
    CHECK(routes_of(all, 30, Family::ipv4).at(0).hops.size() == 3);
    CHECK(routes_of(all, 30, Family::ipv6).at(0).hops == std::vector{through("eth3")});

    config.uplinks.erase(config.uplinks.begin() + 1);
    make_tunnels(config, facts, {0, 1});
    config.uplinks[1].gateway6 = ip("2001:db8:3::1");
    all = desired(config, facts);
    CHECK(routes_of(all, 30, Family::ipv6).at(0).hops == std::vector{via("2001:db8:3::1", "eth3")});
}

TEST_CASE("the preferred default of the main table") {
    struct Case {
        const char* what;
        FamilyWords words;
        std::vector<Route> foreign;
        std::optional<uint32_t> metric; // of ours; none: we add nothing
    };
    const FamilyWords& v4 = both_families[0];
    const FamilyWords& v6 = both_families[1];
    const auto foreign = [](const FamilyWords& words, const std::string& gateway,
                            const char* through_device, uint32_t metric) {
        return route(main_table, words.any, {via(gateway, through_device)}, metric);
    };
    const std::vector<Case> cases{
        {"nothing there", v4, {}, 1},
        {"the same gateway", v4, {foreign(v4, v4.gateway1, "eth1", 0)}, std::nullopt},
        {"the same gateway, less preferred", v4, {foreign(v4, v4.gateway1, "eth1", 100)}, 1},
        // Only there: a DHCP client can add its default route as long as nobody has metric 0.
        {"another gateway", v4, {foreign(v4, v4.gateway2, "eth2", 0)}, 0},
        {"the same gateway in another table",
         v4,
         {route(99, v4.any, {via(v4.gateway1, "eth1")})},
         1},
        {"nothing there", v6, {}, 1024},
        {"another gateway", v6, {foreign(v6, v6.gateway2, "eth2", 1024)}, 1023},
        {"two others",
         v6,
         {foreign(v6, v6.gateway2, "eth2", 512), foreign(v6, "2001:db8:9::1", "eth9", 256)},
         255},
        {"a less preferred one", v6, {foreign(v6, v6.gateway2, "eth2", 2000)}, 1024},
        {"metric 2", v6, {foreign(v6, v6.gateway2, "eth2", 2)}, 1},
        // Nothing is preferred to 1, and beside it ours would become a hop of theirs.
        {"metric 1", v6, {foreign(v6, v6.gateway2, "eth2", 1)}, std::nullopt},
    };
    for (const Case& one : cases) {
        INFO(family_name(one.words.family) << ": " << one.what);
        Facts facts = machine();
        facts.foreign_routes = one.foreign;
        const auto ours = routes_of(desired(two_links(), facts), main_table, one.words.family);
        REQUIRE(ours.size() == (one.metric ? 1 : 0));
        if (one.metric) {
            CHECK(ours[0] == foreign(one.words, one.words.gateway1, "eth1", *one.metric));
        }
    }
}

TEST_CASE("the preferred default leaves by default_uplink where that carries the family") {
    Config config = two_links();
    config.balance.default_uplink = "velox2";
    config.uplinks[1].gateway6.reset();
    const auto all = desired(config, machine());
    CHECK(routes_of(all, main_table, Family::ipv4).at(0).hops[0].device == "eth2");
    CHECK(routes_of(all, main_table, Family::ipv6).at(0).hops[0].device == "eth1");
}

TEST_CASE("rules and their order, in both families") {
    Config config = two_links();
    config.lan.interfaces = {"eth0", "eth9"};
    Facts facts = machine();
    facts.interfaces.push_back(interface("eth9", {}));
    const auto all = desired(config, facts);
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        const auto rules = rules_of(all, words.family);
        REQUIRE(rules.size() == 9);
        const std::vector<uint32_t> priorities{10000, 10001, 10001, 10002, 10002,
                                               10002, 10002, 10003, 10003};
        for (size_t i = 0; i < rules.size(); ++i) {
            CHECK(rules[i].priority == priorities[i]);
            CHECK(rules[i].suppress_prefix_length.has_value() == (i == 0));
        }
        CHECK(rules[0].table == main_table);
        CHECK(rules[0].suppress_prefix_length == 0U);
        CHECK(rules[1].mark == 0x00010000);
        CHECK(rules[1].mark_mask == 0x00ff0000);
        CHECK(rules[1].table == 10);
        CHECK(rules[2].mark == 0x00020000);
        CHECK(rules[2].table == 11);
        CHECK(rules[3].output_interface == "eth1");
        CHECK(rules[3].table == 10);
        CHECK(rules[4].output_interface == "eth2");
        CHECK(rules[4].table == 11);
        CHECK(rules[5].source == Prefix(ip(words.own1), ip(words.own1).bits()));
        CHECK(rules[5].table == 10);
        CHECK(rules[6].table == 11);
        CHECK(rules[7].input_interface == "eth0");
        CHECK(rules[7].table == 30);
        CHECK(rules[8].input_interface == "eth9");
    }
    CHECK(all.state.rules.size() == 18);
    CHECK(std::ranges::is_sorted(all.state.rules));
}
