// SPDX-License-Identifier: GPL-2.0-or-later
// Commands of uplinks and hooks, and [failover].
#include "config_cases.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

const std::string array_rule = "expected an array of one or more, each a word of the command, "
                               "first the absolute path of the program, as there is no shell, ";
const std::string path_rule =
    "expected the absolute path of a program, as there is no shell that would search for it, ";
const std::string word_rule = "expected a word, which is a string that is not empty, ";
const std::string limit_rule =
    "expected a duration from \"100ms\" to \"1h\", with the unit ms, s, m or h, ";

} // namespace

TEST_CASE("config commands: a command is a program and its arguments") {
    const Config config = good_config(least + R"(bring_up = ["/usr/sbin/ip", "link", "set", "a b"]
log_in = ["/usr/local/bin/log-in"]
test = ["/bin/true", "relative", "/absolute"]
command_timeout = "1m"
[hooks]
on_change = ["/usr/local/bin/tell", "-v"]
timeout = "100ms"
)");
    const UplinkConfig& uplink = config.uplinks.at(0);
    CHECK(uplink.bring_up == CommandWords{"/usr/sbin/ip", "link", "set", "a b"});
    CHECK(uplink.log_in == CommandWords{"/usr/local/bin/log-in"});
    CHECK(uplink.test == CommandWords{"/bin/true", "relative", "/absolute"});
    CHECK(uplink.command_timeout == 1min);
    CHECK(config.hooks.on_change == CommandWords{"/usr/local/bin/tell", "-v"});
    CHECK(config.hooks.timeout == 100ms);
    CHECK(config.positions.at("uplink[0].bring_up[3]") == Position{6, 44});
    CHECK(config.positions.at("hooks.timeout") == Position{12, 11});
}

TEST_CASE("config commands: none and a minute, half a minute for hooks, by default") {
    const Config config = good_config(least);
    CHECK(config.uplinks.at(0).bring_up.empty());
    CHECK(config.uplinks.at(0).log_in.empty());
    CHECK(config.uplinks.at(0).test.empty());
    CHECK(config.uplinks.at(0).command_timeout == 60s);
    CHECK(config.hooks == HooksConfig{});
    CHECK(config.hooks.timeout == 30s);
    CHECK(config.failover == FailoverConfig{});
    CHECK(config.failover.all_down == AllDown::last);
    CHECK(config.failover.on_return == OnReturn::stay);
    CHECK(config.failover.reset);
}

TEST_CASE("config commands: mistakes") {
    check_cases({
        {least + "bring_up = \"pppd call dsl\"\n",
         {"6:12: bring_up: " + array_rule + "found \"pppd call dsl\""}},
        {least + "log_in = []\n", {"6:10: log_in: " + array_rule + "found an empty array"}},
        {least + "test = [\"curl\", \"x\"]\n", {"6:9: test: " + path_rule + "found \"curl\""}},
        {least + "test = [\"./curl\"]\n", {"6:9: test: " + path_rule + "found \"./curl\""}},
        {least + "test = [\"\", \"curl\"]\n", {"6:9: test: " + word_rule + "found \"\""}},
        {least + "test = [\"/bin/x\", \"\", 5, \"a\\u0000b\"]\n",
         {"6:19: test: " + word_rule + "found \"\"", "6:23: test: " + word_rule + "found 5",
          "6:26: test: " + word_rule + "found \"a\\x00b\""}},
        {least + "command_timeout = 60\n", {"6:19: command_timeout: " + limit_rule + "found 60"}},
        {least + "[hooks]\non_change = [\"sh\", \"-c\"]\ntimeout = \"2h\"\non_chang = 1\n",
         {"7:14: on_change: " + path_rule + "found \"sh\"",
          "8:11: timeout: " + limit_rule + "found \"2h\"",
          "9:1: unknown key \"on_chang\", did you mean on_change?"}},
        {"hooks = 1\nfailover = []\n" + least,
         {"1:9: hooks: expected one [hooks] section, found 1",
          "2:12: failover: expected one [failover] section, found an empty array"}},
    });
}

TEST_CASE("config failover: words and mistakes") {
    const Config config = good_config(
        least + "[failover]\nall_down = \"unreachable\"\non_return = \"move\"\nreset = false\n");
    CHECK(config.failover.all_down == AllDown::unreachable);
    CHECK(config.failover.on_return == OnReturn::move);
    CHECK_FALSE(config.failover.reset);
    CHECK(good_config(least + "[failover]\nall_down = \"last\"\non_return = \"stay\"\n").failover ==
          FailoverConfig{});
    check_cases({
        {least + "[failover]\nall_down = \"all\"\non_return = true\nreset = \"no\"\nmode = 1\n",
         {"7:12: all_down: expected \"last\" or \"unreachable\", found \"all\"",
          "8:13: on_return: expected \"stay\" or \"move\", found true",
          "9:9: reset: expected true or false, found \"no\"",
          "10:1: unknown key \"mode\", expected one of all_down, on_return, reset"}},
    });
}
