// SPDX-License-Identifier: GPL-2.0-or-later
// [health], and [uplink.health] over it.
#include "config_cases.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

// Lines of [health] from line 7 on.
ConfigCase health(const std::string& lines, std::vector<std::string> errors) {
    return {least + "[health]\n" + lines, std::move(errors)};
}

HealthConfig read(const std::string& lines) {
    return good_config(least + "[health]\n" + lines).uplinks.at(0).health;
}

const std::string defaults = R"([health]
probe = "tcp"
targets = ["192.0.2.1:443", "[2001:db8::1]:443"]
interval = "2s"
timeout = "3s"
down_after = 4
up_after = 6
quorum = 1
window = 30
max_loss = 10
max_latency = "150ms"
max_jitter = "40ms"
query = "example.org"
status = 204
passive = false
)";
const std::string lan = "[lan]\ninterfaces = [\"eth0\"]\n";
const std::string two_uplinks = R"([[uplink]]
name = "velox1"
interface = "eth1"
[uplink.health]
interval = "1m"
max_loss = 50
[[uplink]]
name = "velox2"
interface = "eth2"
)";

std::string duration_rule(const std::string& lowest, const std::string& highest) {
    return "expected a duration from \"" + lowest + "\" to \"" + highest +
           "\", with the unit ms, s, m or h, ";
}

} // namespace

TEST_CASE("config health: without sections every uplink has the documented defaults") {
    const HealthConfig health = good_config(least).uplinks.at(0).health;
    CHECK(health == HealthConfig{});
    CHECK(health.probe == ProbeKind::icmp);
    CHECK(health.targets == std::vector{ProbeTarget{}});
    CHECK(health.interval == 500ms);
    CHECK(health.timeout == 1s);
    CHECK(health.down_after == 3);
    CHECK(health.up_after == 5);
    CHECK(health.quorum == 1);
    CHECK(health.window == 20);
    CHECK_FALSE(health.max_loss);
    CHECK_FALSE(health.max_latency);
    CHECK_FALSE(health.max_jitter);
    CHECK(health.query == ".");
    CHECK_FALSE(health.status);
    CHECK(health.passive);
    CHECK(read("") == HealthConfig{});
}

TEST_CASE("config health: an uplink's section overrides key by key, in any order of the file") {
    for (const auto& text : {lan + defaults + two_uplinks, lan + two_uplinks + defaults,
                             two_uplinks + defaults + lan}) {
        const Config config = good_config(text);
        REQUIRE(config.uplinks.size() == 2);
        HealthConfig expected;
        expected.probe = ProbeKind::tcp;
        expected.targets = {{IpAddress::parse("192.0.2.1"), 443, ""},
                            {IpAddress::parse("2001:db8::1"), 443, ""}};
        expected.interval = 2s;
        expected.timeout = 3s;
        expected.down_after = 4;
        expected.up_after = 6;
        expected.window = 30;
        expected.max_loss = 10;
        expected.max_latency = 150ms;
        expected.max_jitter = 40ms;
        expected.query = "example.org";
        expected.status = 204;
        expected.passive = false;
        CHECK(config.uplinks[1].health == expected);
        expected.interval = 1min;
        expected.max_loss = 50;
        CHECK(config.uplinks[0].health == expected);
    }
}

TEST_CASE("config health: values have their places in the file") {
    const Config config = good_config(lan + defaults + two_uplinks);
    CHECK(config.positions.at("health") == Position{3, 1});
    CHECK(config.positions.at("health.targets[1]") == Position{5, 29});
    CHECK(config.positions.at("uplink[0].health") == Position{21, 1});
    CHECK(config.positions.at("uplink[0].health.interval") == Position{22, 12});
    CHECK_FALSE(config.positions.contains("uplink[0].health.targets"));
    CHECK_FALSE(config.positions.contains("uplink[1].health"));
}

TEST_CASE("config health: each duration has its range, and ends in a unit") {
    CHECK(read("interval = \"100ms\"\ntimeout = \"10ms\"\n").interval == 100ms);
    CHECK(read("interval = \"1h\"\ntimeout = \"1m\"\n").interval == 1h);
    CHECK(read("interval = \"3600s\"\nmax_jitter = \"00001ms\"\n").max_jitter == 1ms);
    const std::string rule = "7:12: interval: " + duration_rule("100ms", "1h");
    check_cases({
        health("interval = \"99ms\"\n", {rule + "found \"99ms\""}),
        health("interval = \"61m\"\n", {rule + "found \"61m\""}),
        health("interval = 500\n", {rule + "found 500"}),
        health("interval = \"500\"\n", {rule + "found \"500\""}),
        health("interval = \"ms\"\n", {rule + "found \"ms\""}),
        health("interval = \"\"\n", {rule + "found \"\""}),
        health("interval = \"1.5s\"\n", {rule + "found \"1.5s\""}),
        health("interval = \"-1s\"\n", {rule + "found \"-1s\""}),
        health("interval = \"1 s\"\n", {rule + "found \"1 s\""}),
        health("interval = \"1S\"\n", {rule + "found \"1S\""}),
        health("interval = \"1d\"\n", {rule + "found \"1d\""}),
        // Times 3600000 and modulo 2^64 that is 34 minutes.
        health("interval = \"5124095576031h\"\n", {rule + "found \"5124095576031h\""}),
        health("interval = \"18446744073709551616ms\"\n",
               {rule + "found \"18446744073709551616ms\""}),
        health("timeout = \"9ms\"\n",
               {"7:11: timeout: " + duration_rule("10ms", "1m") + "found \"9ms\""}),
        health("timeout = \"61s\"\n",
               {"7:11: timeout: " + duration_rule("10ms", "1m") + "found \"61s\""}),
        health("max_latency = \"0ms\"\nmax_jitter = \"61s\"\n",
               {"7:15: max_latency: " + duration_rule("1ms", "1m") + "found \"0ms\"",
                "8:14: max_jitter: " + duration_rule("1ms", "1m") + "found \"61s\""}),
    });
}

TEST_CASE("config health: each number has its range") {
    const auto range = [](const std::string& key, const std::string& limits, int found) {
        return health(key + " = " + std::to_string(found) + "\n",
                      {"7:" + std::to_string(key.size() + 4) + ": " + key +
                       ": expected an integer from " + limits + ", found " +
                       std::to_string(found)});
    };
    check_cases({
        range("down_after", "1 to 100", 0),
        range("down_after", "1 to 100", 101),
        range("up_after", "1 to 100", 0),
        range("up_after", "1 to 100", 101),
        range("quorum", "1 to 100", 0),
        range("quorum", "1 to 100", 101),
        range("window", "5 to 1000", 4),
        range("window", "5 to 1000", 1001),
        range("max_loss", "1 to 99", 0),
        range("max_loss", "1 to 99", 100),
        range("status", "100 to 599", 99),
        range("status", "100 to 599", 600),
    });
    CHECK(read("down_after = 100\nup_after = 1\nwindow = 5\nmax_loss = 99\n").window == 5);
}

TEST_CASE("config health: words, names and switches") {
    const std::string long_label(64, 'a');
    const std::string name_rule =
        "7:9: query: expected a domain name as \"example.org\", or \".\" for the root, ";
    check_cases({
        health("probe = \"ping\"\n",
               {"7:9: probe: expected \"icmp\" or \"tcp\" or \"dns\" or \"http\" or \"none\", "
                "found \"ping\""}),
        health("passive = \"yes\"\n", {"7:11: passive: expected true or false, found \"yes\""}),
        health("passive = 1\n", {"7:11: passive: expected true or false, found 1"}),
        health("query = \"\"\n", {name_rule + "found \"\""}),
        health("query = \"..\"\n", {name_rule + "found \"..\""}),
        health("query = \"a..b\"\n", {name_rule + "found \"a..b\""}),
        health("query = \"a b\"\n", {name_rule + "found \"a b\""}),
        health("query = 5\n", {name_rule + "found 5"}),
        health("query = \"" + long_label + "\"\n", {name_rule + "found \"" + long_label + "\""}),
        health("intervall = \"1s\"\n", {"7:1: unknown key \"intervall\", did you mean interval?"}),
        {least + "[uplink.health]\nup_after = 0\n[health]\nup_after = 0\n",
         {"7:12: up_after: expected an integer from 1 to 100, found 0",
          "9:12: up_after: expected an integer from 1 to 100, found 0"}},
        {least + "health = 7\n", {"6:10: health: expected one [uplink.health] section, found 7"}},
        {"health = 7\n" + least, {"1:10: health: expected one [health] section, found 7"}},
    });
    for (const std::string name : {".", "org", "example.org", "example.org.", "_x.a-b.0"}) {
        CHECK(read("query = \"" + name + "\"\n").query == name);
    }
}

TEST_CASE("config health: targets are of the kind of their probe, whoever names it") {
    const std::string own = "[uplink.health]\n";
    const auto health_of = [](const std::string& text) {
        return good_config(text).uplinks.at(0).health;
    };
    // The uplink's targets are spelled as the inherited probe demands.
    CHECK(health_of(least + own + "targets = [\"192.0.2.1\"]\n[health]\nprobe = \"dns\"\n")
              .targets.at(0)
              .port == 53);
    // Without targets in the file, a probe has its own default.
    CHECK(health_of(least + own + "probe = \"icmp\"\n[health]\nprobe = \"none\"\n").targets ==
          std::vector{ProbeTarget{}});
    CHECK(health_of(least + own + "probe = \"none\"\n").targets.empty());
    CHECK(health_of(least + own + "probe = \"none\"\n[health]\ntargets = [\"192.0.2.1\"]\n")
              .targets.empty());
    CHECK(health_of(least + own + "probe = \"icmp\"\n[health]\ntargets = [\"192.0.2.1\"]\n")
              .targets.at(0)
              .address == IpAddress::parse("192.0.2.1"));
    check_cases({
        {least + own + "probe = \"dns\"\n[health]\ntargets = [\"192.0.2.1\"]\n",
         {"7:9: probe: expected targets beside it, because those of [health] are of the kind "
          "\"icmp\", found only \"dns\""}},
        {lan + defaults + two_uplinks + "[uplink.health]\nprobe = \"icmp\"\n",
         {"28:9: probe: expected targets beside it, because those of [health] are of the kind "
          "\"tcp\", found only \"icmp\""}},
        {least + own + "targets = [\"192.0.2.1\"]\n[health]\nprobe = \"none\"\n",
         {"7:11: targets: expected none, because the probe is \"none\""}},
        health("probe = \"none\"\ntargets = [\"192.0.2.1\"]\n",
               {"8:11: targets: expected none, because the probe is \"none\""}),
    });
}

TEST_CASE("config health: a wrong probe says nothing about the targets") {
    const std::string rule =
        "probe: expected \"icmp\" or \"tcp\" or \"dns\" or \"http\" or \"none\", found \"ping\"";
    check_cases({
        health("probe = \"ping\"\ntargets = [\"192.0.2.1:80\"]\n", {"7:9: " + rule}),
        {least + "[uplink.health]\ntargets = [\"192.0.2.1:80\"]\n[health]\nprobe = \"ping\"\n",
         {"9:9: " + rule}},
        {least + "[uplink.health]\nprobe = \"ping\"\n[health]\ntargets = [\"192.0.2.1\"]\n",
         {"7:9: " + rule}},
        {least + "[uplink.health]\nprobe = \"dns\"\n[health]\nprobe = \"ping\"\n"
                 "targets = [\"192.0.2.1\"]\n",
         {"9:9: " + rule}},
    });
}
