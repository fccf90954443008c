// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/service.h"

#include <algorithm>

#include "gateway_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

constexpr size_t v4 = 0;
constexpr size_t v6 = 1;

Uplink link(const std::string& name, uint32_t id, uint32_t tier = 1) {
    Uplink uplink;
    uplink.name = name;
    uplink.device = "eth" + std::to_string(id);
    uplink.id = id;
    uplink.tier = tier;
    uplink.paths = {UplinkPath{}, UplinkPath{}};
    return uplink;
}

Conditions bad(const std::vector<std::string>& names) {
    Conditions conditions{.watched = true, .uplinks = {}};
    for (const std::string& name : names) {
        conditions.uplinks[name].good = {false, false};
    }
    return conditions;
}

// One step of a gateway's life: what serves, and what it remembers of it.
struct Life {
    std::vector<Uplink> uplinks;
    FailoverConfig failover{};
    Memory memory{};
    std::vector<EndedService> ended{};

    std::vector<std::string> go_on(const Conditions& conditions) {
        choose_service(uplinks, failover, memory, conditions);
        ended = ended_service(uplinks, failover, memory);
        memory.uplinks.clear();
        std::vector<std::string> serving;
        for (const Uplink& uplink : uplinks) {
            RememberedUplink known;
            known.name = uplink.name;
            known.id = uplink.id;
            known.carried = uplink.carries;
            known.served = uplink.serves;
            memory.uplinks.push_back(known);
            if (uplink.serves[v4]) {
                serving.push_back(uplink.name);
            }
        }
        return serving;
    }
    [[nodiscard]] std::vector<std::string> ended_ipv4() const {
        std::vector<std::string> names;
        for (const EndedService& one : ended) {
            if (one.family == Family::ipv4) {
                names.push_back(one.uplink);
            }
        }
        return names;
    }
};

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("a link that fails is left, its connections end, and it comes back") {
    Life life{{link("a", 1), link("b", 2)}};
    CHECK(life.go_on(bad({})) == Names{"a", "b"});
    CHECK(life.ended.empty());
    CHECK(life.go_on(bad({"a"})) == Names{"b"});
    CHECK(life.ended_ipv4() == Names{"a"});
    CHECK(life.go_on(bad({"a"})) == Names{"b"});
    CHECK(life.ended.empty()); // once
    CHECK(life.go_on(bad({})) == Names{"a", "b"});
    CHECK(life.ended.empty());
}

TEST_CASE("one family fails alone") {
    Life life{{link("a", 1), link("b", 2)}};
    life.go_on(bad({}));
    Conditions conditions = bad({});
    conditions.uplinks["a"].good = {true, false};
    CHECK(life.go_on(conditions) == Names{"a", "b"});
    CHECK_FALSE(life.uplinks[0].serves[v6]);
    CHECK(life.ended == std::vector<EndedService>{{"a", 1, Family::ipv6}});
}

TEST_CASE("tiers move up, and back") {
    const auto [policy, moved] =
        GENERATE(std::pair{OnReturn::stay, Names{}}, std::pair{OnReturn::move, Names{"c"}});
    Life life{{link("a", 1), link("b", 2), link("c", 3, 2), link("d", 4, 3)}};
    life.failover.on_return = policy;
    CHECK(life.go_on(bad({})) == Names{"a", "b"});
    CHECK(life.go_on(bad({"a"})) == Names{"b"});
    CHECK(life.go_on(bad({"a", "b"})) == Names{"c"});
    CHECK(life.go_on(bad({"b"})) == Names{"a"});
    CHECK(life.ended_ipv4() == moved);
    CHECK(life.go_on(bad({})) == Names{"a", "b"});
    CHECK(life.ended.empty()); // of the same tier: nobody moves
}

TEST_CASE("all links fail") {
    Life life{{link("a", 1), link("b", 2), link("c", 3, 2)}};
    life.go_on(bad({}));
    life.go_on(bad({"a"}));
    SECTION("the last to serve goes on") {
        CHECK(life.go_on(bad({"a", "b", "c"})) == Names{"b"});
        CHECK(life.ended_ipv4() == Names{"c"});
        CHECK(life.go_on(bad({"a", "b", "c"})) == Names{"b"});
        CHECK(life.ended.empty());
        SECTION("until another one is back") {
            CHECK(life.go_on(bad({"a", "b"})) == Names{"c"});
            CHECK(life.ended_ipv4() == Names{"b"});
        }
        SECTION("or its interface is gone") {
            life.uplinks[1].paths = {};
            CHECK(life.go_on(bad({"a", "b", "c"})) == Names{"a"});
        }
    }
    SECTION("or nobody does") {
        life.failover.all_down = AllDown::unreachable;
        CHECK(life.go_on(bad({"a", "b", "c"})).empty());
        CHECK(life.ended_ipv4() == Names{"b", "c"});
        CHECK(life.go_on(bad({"b", "c"})) == Names{"a"});
    }
}

TEST_CASE("a drained link keeps its connections and gets no new ones") {
    Life life{{link("a", 1), link("b", 2)}};
    life.go_on(bad({}));
    life.uplinks[0].drained = true;
    CHECK(life.go_on(bad({})) == Names{"b"});
    CHECK(life.ended.empty());
    SECTION("and loses them when it fails") {
        CHECK(life.go_on(bad({"a"})) == Names{"b"});
        CHECK(life.ended_ipv4() == Names{"a"});
    }
    SECTION("and is no last resort") { CHECK(life.go_on(bad({"a", "b"})) == Names{"b"}); }
}

TEST_CASE("what was remembered of another uplink does not count") {
    Life life{{link("a", 1)}};
    life.go_on(bad({}));
    life.uplinks[0].id = 7;
    life.uplinks[0].paths = {};
    life.go_on(bad({}));
    CHECK(life.ended.empty());
}

TEST_CASE("commands: drained and weights last until the configuration changes them") {
    Conditions conditions;
    conditions.uplinks["velox1"] = {.good = {true, true}, .drained = true, .weight = 7};
    const auto first = desired_state(two_links(), machine(), {}, {}, {}, conditions);
    REQUIRE(first);
    CHECK(first->uplinks[0].drained);
    CHECK(first->uplinks[0].weight == 7);
    Memory memory;
    for (const Uplink& uplink : first->uplinks) {
        memory.uplinks.push_back({.name = uplink.name,
                                  .interface = uplink.device,
                                  .id = uplink.id,
                                  .table = uplink.table,
                                  .drained = uplink.drained,
                                  .ordered_weight = uplink.ordered_weight,
                                  .configured_weight = uplink.configured_weight});
    }
    SECTION("remembered") {
        const auto again = desired(two_links(), machine(), memory);
        CHECK(again.uplinks[0].drained);
        CHECK(again.uplinks[0].weight == 7);
        CHECK(again.uplinks[1].weight == 1);
    }
    SECTION("taken back") {
        conditions.uplinks["velox1"] = {.good = {true, true}, .drained = false, .weight = 0};
        const auto again = desired_state(two_links(), machine(), memory, {}, {}, conditions);
        CHECK_FALSE(again->uplinks[0].drained);
        CHECK(again->uplinks[0].weight == 1);
    }
    SECTION("overtaken by another configured weight") {
        Config config = two_links();
        config.uplinks[0].weight = 3;
        CHECK(desired(config, machine(), memory).uplinks[0].weight == 3);
    }
}

TEST_CASE("a watched gateway without any link answers for the families it had") {
    Facts facts = machine();
    std::erase_if(facts.interfaces,
                  [](const Interface& one) { return one.name == "eth1" || one.name == "eth2"; });
    Memory memory;
    memory.families = {true, false};
    const auto state = desired_state(two_links(), facts, memory, {}, {}, bad({}));
    REQUIRE(state);
    const auto& routes = state->state.routes;
    REQUIRE(routes.size() == 1);
    CHECK(routes[0].table == 30);
    CHECK(routes[0].destination == Prefix::any(Family::ipv4));
    CHECK(routes[0].hops.empty());
    CHECK(std::ranges::count(state->state.rules, 30U, &Rule::table) == 1);
    CHECK(state->state.datapath.buckets[v4].empty());
    CHECK(std::ranges::all_of(state->state.datapath.uplinks,
                              [](const DatapathUplink& one) { return one.device.empty(); }));
}
