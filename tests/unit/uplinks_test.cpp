// SPDX-License-Identifier: GPL-2.0-or-later
// Ids, tables and ways out of the configuration's uplinks.
#include <functional>

#include "core/uplinks.h"
#include "gateway_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using Numbers = std::vector<uint32_t>;

// Uplinks of these names, all on eth1: only numbers are asked about.
Config named(const std::vector<std::string>& names) {
    Config config;
    for (const std::string& name : names) {
        config.uplinks.push_back(uplink(name, "eth1"));
        config.uplinks.back().gateway = ip("192.168.1.1");
    }
    return config;
}

Memory knows(const std::vector<RememberedUplink>& uplinks, uint32_t balance_table = 0) {
    Memory memory;
    memory.uplinks = uplinks;
    memory.balance_table = balance_table;
    return memory;
}

ResolvedTables resolved(const Config& config, const Facts& facts, const Memory& memory) {
    const auto result = resolve_uplinks(config, facts, memory);
    INFO((result ? "" : result.error().message));
    REQUIRE(result);
    return *result;
}

Numbers ids(const ResolvedTables& resolved) {
    Numbers numbers;
    std::ranges::transform(resolved.uplinks, std::back_inserter(numbers), &Uplink::id);
    return numbers;
}
Numbers tables(const ResolvedTables& resolved) {
    Numbers numbers;
    std::ranges::transform(resolved.uplinks, std::back_inserter(numbers), &Uplink::table);
    numbers.push_back(resolved.balance_table);
    return numbers;
}

std::string error_of(const Config& config, const Facts& facts, const Memory& memory) {
    const auto result = resolve_uplinks(config, facts, memory);
    return result ? "" : result.error().message;
}

struct IdCase {
    const char* what;
    uint32_t mask;
    std::vector<std::string> names;
    std::vector<RememberedUplink> known;
    Numbers expected;
};

} // namespace

TEST_CASE("ids of uplinks") {
    const std::vector<IdCase> cases{
        {"from 1 on", 0x00ff0000, {"a", "b", "c"}, {}, {1, 2, 3}},
        {"kept by name", 0x00ff0000, {"b", "a"}, {{"a", "", 1}, {"b", "", 2}}, {2, 1}},
        {"the lowest free", 0x00ff0000, {"a", "b"}, {{"b", "", 1}}, {2, 1}},
        {"gaps are filled", 0x00ff0000, {"a", "b", "n"}, {{"a", "", 1}, {"b", "", 3}}, {1, 3, 2}},
        {"not a retired one", 0x00ff0000, {"a", "n"}, {{"a", "", 1}, {"old", "", 2}}, {1, 3}},
        {"all are taken", 0x3, {"a", "b", "c"}, {}, {1, 2, 3}},
        {"retired when none is left",
         0x3,
         {"a", "n"},
         {{"a", "", 1}, {"x", "", 2}, {"y", "", 3}},
         {1, 3}},
        {"free before retired", 0x3, {"a", "n", "m"}, {{"a", "", 1}, {"old", "", 2}}, {1, 3, 2}},
        {"one bit, one uplink", 0x80000000, {"n"}, {{"old", "", 1}}, {1}},
        {"an id beyond a mask that became smaller",
         0x3,
         {"a", "b"},
         {{"a", "", 1}, {"b", "", 5}},
         {1, 2}},
        {"a retired id beyond such a mask",
         0x3,
         {"a", "b", "n"},
         {{"a", "", 1}, {"b", "", 2}, {"x", "", 3}, {"y", "", 200}},
         {1, 2, 3}},
    };
    for (const IdCase& one : cases) {
        INFO(one.what);
        Config config = named(one.names);
        config.balance.mark_mask = one.mask;
        CHECK(ids(resolved(config, machine(), knows(one.known))) == one.expected);
    }
}

TEST_CASE("255 uplinks fit into eight bits, and no more into nine") {
    std::vector<std::string> names;
    for (int i = 0; i < 255; ++i) {
        names.push_back(fmt::format("u{}", i));
    }
    Config config = named(names);
    config.balance.mark_mask = 0x01ff0000;
    const auto all = ids(resolved(config, machine(), {}));
    CHECK(all.front() == 1);
    CHECK(all.back() == 255);
    names.emplace_back("one_more");
    config.uplinks = named(names).uplinks;
    CHECK(error_of(config, machine(), {}) == "mark mask 0x01ff0000 has room for 255 uplinks only");
}

TEST_CASE("more uplinks than the mask has room for are an error") {
    Config config = named({"a", "b", "c", "d"});
    config.balance.mark_mask = 0x30;
    CHECK(error_of(config, machine(), {}) == "mark mask 0x00000030 has room for 3 uplinks only");
}

TEST_CASE("tables are kept by name, new ones are the lowest that nobody uses") {
    Facts facts = machine();
    facts.foreign_routes = {route(101, "203.0.113.0/24", {through("eth0")})};
    facts.foreign_rules = {Rule{}};
    facts.foreign_rules[0].table = 102;
    facts.foreign_table_names = {{103, "theirs"}};
    CHECK(tables(resolved(named({"a", "b"}), facts, {})) == Numbers{100, 104, 105});
    const auto memory = knows({{"b", "", 1, 120}, {"old", "", 2, 100}}, 121);
    CHECK(tables(resolved(named({"a", "b"}), facts, memory)) == Numbers{104, 120, 121});
}

TEST_CASE("tables that the configuration names are taken, and are nobody else's") {
    Config config = named({"a", "b"});
    config.uplinks[1].table = 100;
    config.balance.table = 101;
    CHECK(tables(resolved(config, machine(), {})) == Numbers{102, 100, 101});
    // What was chosen before gives way to what is written now.
    const auto memory = knows({{"a", "", 1, 100}, {"b", "", 2, 104}}, 105);
    CHECK(tables(resolved(config, machine(), memory)) == Numbers{102, 100, 101});
    config.balance.table.reset();
    CHECK(tables(resolved(config, machine(), knows({{"a", "", 1, 103}}, 100))) ==
          Numbers{103, 100, 101});
}

TEST_CASE("the system's tables are never chosen, even if nothing names them") {
    std::vector<std::string> names;
    for (int i = 0; i < 200; ++i) {
        names.push_back(fmt::format("u{}", i));
    }
    const auto chosen = tables(resolved(named(names), machine(), {}));
    for (const uint32_t table : {253U, 254U, 255U}) {
        CHECK(std::ranges::count(chosen, table) == 0);
    }
    CHECK(chosen[152] == 252);
    CHECK(chosen[153] == 256);
}

TEST_CASE("the gateway is the configuration's, in both families") {
    Facts facts = machine();
    for (const FamilyWords& words : both_families) {
        facts.foreign_routes.push_back(
            route(main_table, words.any, {via(words.gateway2, "eth1")}, words.plain_metric));
    }
    const auto links = resolved(two_links(), facts, {}).uplinks;
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        REQUIRE(links[0].path(words.family));
        CHECK(links[0].path(words.family)->gateway == ip(words.gateway1));
        REQUIRE(links[0].path(words.family)->addresses.size() == 1);
        CHECK(links[0].path(words.family)->addresses[0].address == ip(words.own1));
    }
}

namespace {

// velox1 without gateways in the configuration, on a machine with these routes.
Result<ResolvedTables> following(const std::vector<Route>& routes,
                                 const std::function<void(Interface&)>& change = {}) {
    Config config = two_links();
    config.uplinks.resize(1);
    config.uplinks[0].gateway.reset();
    config.uplinks[0].gateway6.reset();
    Facts facts = machine();
    facts.foreign_routes = routes;
    if (change) {
        change(device(facts, "eth1"));
    }
    return resolve_uplinks(config, facts, {});
}

} // namespace

TEST_CASE("without a gateway in the configuration the default route is followed") {
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        const auto other = words.family == Family::ipv4 ? Family::ipv6 : Family::ipv4;
        const std::vector<std::vector<Route>> ways{
            {route(main_table, words.any, {via(words.gateway1, "eth1")}, 100)},
            {route(main_table, words.any, {via(words.gateway1, "eth1"), via("192.0.2.1", "eth2")})},
            // Not this device, not this table, not this destination.
            {route(main_table, words.any, {via(words.gateway2, "eth2")}),
             route(77, words.any, {via(words.gateway2, "eth1")}),
             route(main_table, words.other, {via(words.gateway2, "eth1")}),
             route(main_table, words.any, {via(words.gateway1, "eth1")}, 600)},
        };
        for (const auto& routes : ways) {
            const auto result = following(routes);
            REQUIRE(result);
            REQUIRE(result->uplinks[0].path(words.family));
            CHECK(result->uplinks[0].path(words.family)->gateway == ip(words.gateway1));
            CHECK_FALSE(result->uplinks[0].path(other));
        }
    }
}

TEST_CASE("a default route without a gateway is followed too") {
    const auto result = following({route(main_table, "0.0.0.0/0", {through("eth1")})});
    REQUIRE(result);
    REQUIRE(result->uplinks[0].path(Family::ipv4));
    CHECK_FALSE(result->uplinks[0].path(Family::ipv4)->gateway);
}

TEST_CASE("a point-to-point device needs no gateway") {
    const auto result = following({}, [](Interface& i) { i.point_to_point = true; });
    REQUIRE(result);
    for (const Family family : families) {
        REQUIRE(result->uplinks[0].path(family));
        CHECK_FALSE(result->uplinks[0].path(family)->gateway);
    }
}

TEST_CASE("a family without a global address is not carried, whatever its gateway") {
    Facts facts = machine();
    device(facts, "eth1").addresses = {address("192.168.1.2/24"), address("fe80::2/64")};
    device(facts, "eth2").addresses = {address("169.254.7.7/16"), address("2001:db8:2::2/64")};
    const auto links = resolved(two_links(), facts, {}).uplinks;
    CHECK(links[0].path(Family::ipv4));
    CHECK_FALSE(links[0].path(Family::ipv6));
    CHECK_FALSE(links[1].path(Family::ipv4));
    CHECK(links[1].path(Family::ipv6));
}

TEST_CASE("what cannot be an uplink") {
    Facts facts = machine();
    Config config = two_links();
    config.uplinks[1].interface = "eth9";
    CHECK(error_of(config, facts, {}) == "uplink velox2: there is no interface eth9");
    const std::string no_way = "uplink velox1: eth1 carries neither IPv4 nor IPv6: it needs an "
                               "address, and a gateway from the configuration or from a default "
                               "route";
    const auto lost = following({});
    REQUIRE_FALSE(lost);
    CHECK(lost.error().message == no_way);
    device(facts, "eth1").addresses = {address("fe80::2/64")};
    CHECK(error_of(two_links(), facts, {}) == no_way);
}

TEST_CASE("weight, tier and device are the configuration's") {
    Config config = two_links();
    config.uplinks[1].weight = 7;
    config.uplinks[1].tier = 3;
    const auto links = resolved(config, machine(), {}).uplinks;
    CHECK(links[1].name == "velox2");
    CHECK(links[1].device == "eth2");
    CHECK(links[1].weight == 7);
    CHECK(links[1].tier == 3);
}
