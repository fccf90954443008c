// SPDX-License-Identifier: GPL-2.0-or-later
// Links as the daemon knows them, on a veth pair: what is seen goes in, decisions and changes come out.
#include "daemon/links.h"

#include "far_side.h"
#include "support/catch.h"
#include <unistd.h>

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

Interface wan(bool running = true) {
    Interface made;
    made.name = "wan1";
    made.index = 101;
    made.up = true;
    made.running = running;
    made.addresses = {{address("192.0.2.1"), 24, std::nullopt, false},
                      {address("2001:db8::1"), 64, std::nullopt, false}};
    return made;
}

UplinkConfig uplink(const std::string& name, const std::string& device) {
    UplinkConfig made;
    made.name = name;
    made.interface = device;
    made.gateway = address("192.0.2.9");
    made.gateway6 = address("2001:db8::9");
    made.health.interval = 100ms;
    made.health.targets = {{address("192.0.2.9"), 0, ""}}; // none of IPv6
    return made;
}

// The daemon's loop without the kernel: a pass at every verdict.
struct Lab {
    asio::io_context context;
    Config config;
    Facts facts;
    bool asked = false;
    Links links{context, "linkbal-test", [this] { asked = true; }};
    Conditions conditions;
    std::vector<LinkChange> changes;

    Lab() {
        config.uplinks = {uplink("velox1", "wan1")};
        config.failover.all_down = AllDown::unreachable;
        facts.interfaces = {wan()};
        links.configure(config);
    }
    void settle() {
        const auto desired = desired_state(config, facts, {}, {}, {}, conditions);
        REQUIRE(desired);
        for (LinkChange& change : links.settle(*desired, config.balance.mark_mask)) {
            changes.push_back(std::move(change));
        }
    }
    void pass() {
        asked = false;
        links.see(facts);
        conditions = links.conditions();
        settle();
    }
    bool becomes(const std::array<bool, 2>& good) {
        return run_until(context, [&] {
            if (asked) {
                pass();
            }
            return conditions.of("velox1").good == good;
        });
    }
};

} // namespace

TEST_CASE("a family without targets is cut off and comes back with the other one") {
    LINKBAL_FAR_SIDE(far);
    Lab lab;
    lab.pass();
    CHECK(lab.conditions.of("velox1").good == std::array{true, true});
    CHECK(lab.changes.back().state == "up");
    far.ignore_pings(true);
    REQUIRE(lab.becomes({false, false}));
    far.ignore_pings(false);
    REQUIRE(lab.becomes({true, true}));

    lab.facts.interfaces = {wan(false)};
    lab.pass();
    CHECK(lab.conditions.of("velox1").good == std::array{false, false});
    CHECK(lab.changes.back().reason == "wan1 has no carrier");
    lab.facts.interfaces = {wan()};
    lab.pass();
    CHECK(lab.conditions.of("velox1").good == std::array{false, false}); // it has to answer first
    REQUIRE(lab.becomes({true, true}));
    CHECK(lab.changes.back().state == "up");
}

TEST_CASE("a family without targets that comes later needs no event to be used") {
    LINKBAL_FAR_SIDE(far);
    Lab lab;
    lab.facts.interfaces[0].addresses.pop_back();
    lab.pass();
    REQUIRE(lab.becomes({true, true}));
    lab.context.restart();
    lab.context.run_for(500ms); // IPv4 is good, and nothing more will be said of it
    lab.facts.interfaces = {wan()};
    lab.pass();
    REQUIRE(lab.becomes({true, true}));
}

TEST_CASE("what carried nothing for the daemon before has to answer first") {
    LINKBAL_FAR_SIDE(far);
    Lab lab;
    Memory memory;
    RememberedUplink& known = memory.uplinks.emplace_back();
    known.name = "velox1";
    known.carried = {false, false};
    lab.links.remember(memory);
    lab.pass();
    CHECK(lab.conditions.of("velox1").good == std::array{false, false});
    REQUIRE(lab.becomes({true, true}));
}

TEST_CASE("a link that is configured later is seen before it is settled") {
    LINKBAL_FAR_SIDE(far);
    Lab lab;
    lab.pass();
    Interface second = wan();
    second.name = "lo"; // there, and that is all that matters
    lab.facts.interfaces.push_back(second);
    lab.config.uplinks.push_back(uplink("velox2", "lo"));
    lab.conditions = lab.links.conditions();
    lab.conditions.watched = true;
    lab.links.configure(lab.config);
    lab.links.see(lab.facts);
    lab.settle();
    CHECK(lab.changes.back().link.uplink == "velox2");
    CHECK(lab.changes.back().state == "up");
    CHECK(lab.links.status().back().state == UplinkState::up);
    // And one that is configured no more is forgotten.
    lab.config.uplinks.pop_back();
    lab.links.configure(lab.config);
    CHECK(lab.links.status().size() == 1);
    CHECK(!lab.links.place("velox2"));
    CHECK(lab.links.mark("velox2") == 0);
}
