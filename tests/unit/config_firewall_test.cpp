// SPDX-License-Identifier: GPL-2.0-or-later
// [firewall] and [[firewall.allow]] as they are read.
#include <fmt/format.h>

#include "config_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// Lines of [firewall] from line 7 on, or of [[firewall.allow]].
ConfigCase firewall(const std::string& lines, std::vector<std::string> errors) {
    return {least + "[firewall]\n" + lines, std::move(errors)};
}
ConfigCase allow(const std::string& lines, std::vector<std::string> errors) {
    return {least + "[[firewall.allow]]\n" + lines, std::move(errors)};
}

FirewallConfig read(const std::string& lines) {
    return good_config(least + "[firewall]\n" + lines).firewall.value();
}
AllowConfig read_allow(const std::string& lines) {
    return read("[[firewall.allow]]\n" + lines).allow.at(0);
}

Prefix network(std::string_view text) { return Prefix::parse(text).value(); }

const std::string origin_rule =
    "expected \"lan\", \"uplinks\" or a network as \"ADDRESS/LENGTH\", ";
const std::string service_rule =
    "service: expected the name of a service or ports as \"8443/tcp\" or \"5000-5010/udp\", ";
const std::string rate_rule = "rate: expected a rate as \"10/minute\": 1 to 10000 connections in a "
                              "second, minute or hour, ";
const std::string log_rule = "expected \"fragments\" or \"spoofed\" or \"invalid\" or \"input\" or "
                             "\"forward\", ";
const std::string prefix_rule =
    "7:14: log_prefix: expected 1 to 40 printable ASCII characters without quotes, ";
const std::string dns_rule =
    "dns_servers: expected the address of a DNS server that hosts of the LAN can reach, ";

} // namespace

TEST_CASE("config firewall: without the section there is none, with it the documented defaults") {
    CHECK_FALSE(good_config(least).firewall);
    const FirewallConfig defaults = read("");
    CHECK(defaults == FirewallConfig{});
    CHECK(defaults.ping == Origins{.lan = true});
    CHECK(defaults.allow.empty());
    CHECK(defaults.dns_servers.empty());
    CHECK(defaults.expected_sources.empty());
    CHECK(defaults.log == static_cast<uint8_t>(FirewallLog::fragments));
    CHECK(defaults.log_prefix == "linkbal");
    const AllowConfig allow = read_allow("service = [\"ssh\"]\n");
    CHECK(allow.from == Origins{.lan = true});
    CHECK_FALSE(allow.rate);
    CHECK(good_config(least + "[[firewall.allow]]\nservice = [\"ssh\"]\n").firewall);
}

TEST_CASE("config firewall: a complete section is read whole") {
    const Config config = good_config(least + R"([firewall]
ping = ["uplinks", "192.0.2.0/24", "2001:db8::/32"]
dns_servers = ["200.202.93.75", "2001:db8::53"]
expected_sources = ["192.168.1.0/24", "10.0.0.0/8"]
log = ["forward", "spoofed"]
log_prefix = "my gate"
[[firewall.allow]]
service = ["ssh", "dns", "8443/tcp", "5000-5010/udp"]
from = ["lan", "203.0.113.0/24", "uplinks"]
rate = "10/minute"
[[firewall.allow]]
service = ["ntp"]
)");
    const FirewallConfig& firewall = config.firewall.value();
    CHECK(
        firewall.ping ==
        Origins{.uplinks = true, .networks = {network("192.0.2.0/24"), network("2001:db8::/32")}});
    CHECK(firewall.dns_servers == std::vector{IpAddress::parse("200.202.93.75").value(),
                                              IpAddress::parse("2001:db8::53").value()});
    CHECK(firewall.expected_sources ==
          std::vector{network("192.168.1.0/24"), network("10.0.0.0/8")});
    CHECK(firewall.log == (static_cast<uint8_t>(FirewallLog::forward) |
                           static_cast<uint8_t>(FirewallLog::spoofed)));
    CHECK(firewall.log_prefix == "my gate");
    REQUIRE(firewall.allow.size() == 2);
    CHECK(firewall.allow[0].services == std::vector<ServicePorts>{{Transport::tcp, {22, 22}},
                                                                  {Transport::tcp, {53, 53}},
                                                                  {Transport::udp, {53, 53}},
                                                                  {Transport::tcp, {8443, 8443}},
                                                                  {Transport::udp, {5000, 5010}}});
    CHECK(firewall.allow[0].from ==
          Origins{.lan = true, .uplinks = true, .networks = {network("203.0.113.0/24")}});
    CHECK(firewall.allow[0].rate == ConnectionRate{10, ConnectionRate::Unit::minute});
    CHECK(firewall.allow[1].services == std::vector<ServicePorts>{{Transport::udp, {123, 123}}});
    CHECK(config.positions.at("firewall.ping[1]") == Position{7, 20});
    CHECK(config.positions.at("firewall.allow[0].rate") == Position{15, 8});
    CHECK(config.positions.at("firewall.allow[1]") == Position{16, 1});
}

TEST_CASE("config firewall: an empty array says nobody, or nothing") {
    CHECK(read("ping = []\n").ping.nobody());
    CHECK(read("log = []\n").log == 0);
    check_cases({
        firewall("dns_servers = []\n",
                 {"7:15: dns_servers: expected an array of one or more, each " +
                  dns_rule.substr(22) + "found an empty array"}),
        firewall("expected_sources = []\n",
                 {"7:20: expected_sources: expected an array of one or more, each a network as "
                  "\"ADDRESS/LENGTH\", found an empty array"}),
        allow("service = []\nfrom = []\n",
              {"7:11: service: expected an array of one or more, each " + service_rule.substr(18) +
                   "found an empty array",
               "8:8: from: expected an array of one or more, each " + origin_rule.substr(9) +
                   "found an empty array"}),
    });
}

TEST_CASE("config firewall: origins are words or networks, each once") {
    check_cases({
        firewall("ping = \"lan\"\n",
                 {"7:8: ping: expected an array, each " + origin_rule.substr(9) + "found \"lan\""}),
        firewall("ping = [\"lan\", \"velox1\", 7, \"203.0.113.7\", \"0.0.0.0/0\"]\n",
                 {"7:16: ping: " + origin_rule + "found \"velox1\"",
                  "7:26: ping: " + origin_rule + "found 7",
                  "7:29: ping: " + origin_rule + "found \"203.0.113.7\"",
                  "7:44: ping: expected a network as \"ADDRESS/LENGTH\", found \"0.0.0.0/0\""}),
        firewall("ping = [\"203.0.113.7/24\"]\n",
                 {"7:9: ping: expected \"203.0.113.0/24\", found \"203.0.113.7/24\", which has "
                  "host bits set"}),
        firewall("ping = [\"lan\", \"uplinks\", \"lan\"]\n",
                 {"7:27: ping: expected each only once, found \"lan\" beside \"lan\""}),
        allow("service = [\"ssh\"]\nfrom = [\"uplinks\", \"192.0.2.0/24\", \"192.0.2.8/29\", "
              "\"uplinks\"]\n",
              {"8:36: from: expected each only once, found \"192.0.2.8/29\" beside "
               "\"192.0.2.0/24\"",
               "8:52: from: expected each only once, found \"uplinks\" beside \"uplinks\""}),
    });
}

TEST_CASE("config firewall: services are names or ports, each once") {
    check_cases({
        allow("", {"6:1: service is missing: expected an array of services"}),
        allow("service = \"ssh\"\n", {"7:11: service: expected an array of one or more, each " +
                                      service_rule.substr(18) + "found \"ssh\""}),
        allow("service = [\"shh\", \"htpps\"]\n",
              {"7:12: " + service_rule + "found \"shh\", did you mean \"ssh\"?",
               "7:19: " + service_rule + "found \"htpps\", did you mean \"https\"?"}),
        allow("service = [\"80\", \"0/tcp\", \"90-80/tcp\", \"80/sctp\", \"http/tcp\", \"\", 22]\n",
              {"7:12: " + service_rule + "found \"80\"",
               "7:18: " + service_rule + "found \"0/tcp\"",
               "7:27: " + service_rule + "found \"90-80/tcp\"",
               "7:40: " + service_rule + "found \"80/sctp\"",
               "7:51: " + service_rule + "found \"http/tcp\"",
               "7:63: " + service_rule + "found \"\"", "7:67: " + service_rule + "found 22"}),
        allow("service = [\"dns\", \"ssh\", \"50-60/udp\", \"22/tcp\", \"22/udp\"]\n",
              {"7:26: service: expected each only once, found \"50-60/udp\" beside \"dns\"",
               "7:39: service: expected each only once, found \"22/tcp\" beside \"ssh\""}),
        allow("service = [\"vrrp\", \"ssh\", \"esp\", \"vrrp\"]\n",
              {"7:34: service: expected each only once, found \"vrrp\" beside \"vrrp\""}),
        allow("service = [\"vrpp\", \"112\", 112, \"esp/ip\"]\n",
              {"7:12: " + service_rule + "found \"vrpp\", did you mean \"vrrp\"?",
               "7:20: " + service_rule + "found \"112\"", "7:27: " + service_rule + "found 112",
               "7:32: " + service_rule + "found \"esp/ip\""}),
    });
    const auto unknown = parse_errors(least + "[[firewall.allow]]\nservice = [\"gopher-hole\"]\n");
    REQUIRE(unknown.size() == 1);
    CHECK(unknown[0].starts_with("7:12: " + service_rule +
                                 "found \"gopher-hole\", which is none of the names ah, dhcp, "));
    CHECK(unknown[0].ends_with(", wireguard"));
}

TEST_CASE("config firewall: protocols without ports stand among the services") {
    const AllowConfig mixed =
        read_allow("service = [\"vrrp\", \"ssh\", \"ah\", \"esp\", \"gre\", \"igmp\", \"ospf\"]\n");
    CHECK(mixed.protocols == std::vector<uint8_t>{112, 51, 50, 47, 2, 89});
    CHECK(mixed.services == std::vector<ServicePorts>{{Transport::tcp, {22, 22}}});
    CHECK(read_allow("service = [\"ospf\"]\n").services.empty());
}

TEST_CASE("config firewall: rates") {
    using Unit = ConnectionRate::Unit;
    const auto rate = [](const std::string& text) {
        return read_allow("service = [\"ssh\"]\nrate = \"" + text + "\"\n").rate;
    };
    CHECK(rate("1/second") == ConnectionRate{1, Unit::second});
    CHECK(rate("10000/minute") == ConnectionRate{10000, Unit::minute});
    CHECK(rate("30/hour") == ConnectionRate{30, Unit::hour});
    for (const std::string text :
         {"", "10", "10/", "/minute", "0/minute", "10001/minute", "-1/minute", "10/day",
          "10/Minute", "10 /minute", "1.5/second", "10/minute/hour", "4294967297/hour"}) {
        CHECK(parse_errors(least + "[[firewall.allow]]\nservice = [\"ssh\"]\nrate = \"" + text +
                           "\"\n") == std::vector{"8:8: " + rate_rule + "found \"" + text + "\""});
    }
    check_cases({allow("service = [\"ssh\"]\nrate = 10\n", {"8:8: " + rate_rule + "found 10"})});
}

TEST_CASE("config firewall: DNS servers and expected sources") {
    check_cases({
        firewall("dns_servers = [\"127.0.0.53\", \"::1\", \"fe80::1\", \"0.0.0.0\", \"224.0.0.1\", "
                 "\"dns.example\", 8]\n",
                 {"7:16: " + dns_rule + "found \"127.0.0.53\"",
                  "7:30: " + dns_rule + "found \"::1\"", "7:37: " + dns_rule + "found \"fe80::1\"",
                  "7:48: " + dns_rule + "found \"0.0.0.0\"",
                  "7:59: " + dns_rule + "found \"224.0.0.1\"",
                  "7:72: " + dns_rule + "found \"dns.example\"", "7:87: " + dns_rule + "found 8"}),
        firewall("dns_servers = [\"2001:db8::53\", \"2001:DB8:0::53\"]\n",
                 {"7:32: dns_servers: expected each only once, found \"2001:DB8:0::53\" beside "
                  "\"2001:db8::53\""}),
        firewall("expected_sources = [\"10.0.0.0/8\", \"10.1.0.0/16\", \"lan\"]\n",
                 {"7:35: expected_sources: expected each only once, found \"10.1.0.0/16\" beside "
                  "\"10.0.0.0/8\"",
                  "7:50: expected_sources: expected a network as \"ADDRESS/LENGTH\", found "
                  "\"lan\""}),
    });
}

TEST_CASE("config firewall: what is logged, and how its lines begin") {
    const auto prefixed = [](const std::string& text) {
        return least + "[firewall]\nlog_prefix = \"" + text + "\"\n";
    };
    check_cases({
        firewall("log = [\"fragment\", \"input\", \"input\"]\n",
                 {"7:8: log: " + log_rule + "found \"fragment\"",
                  "7:29: log: expected each only once, found \"input\" beside \"input\""}),
        firewall("log = true\n",
                 {"7:7: log: expected an array, each " + log_rule.substr(9) + "found true"}),
        {prefixed(""), {prefix_rule + "found \"\""}},
        {prefixed(std::string(41, 'x')), {prefix_rule + "found \"" + std::string(41, 'x') + "\""}},
        {prefixed("a\\\"b"), {prefix_rule + "found \"a\\\"b\""}},
        {prefixed("a\\nb"), {prefix_rule + "found \"a\\nb\""}},
        {prefixed("\xc3\xa9"), {prefix_rule + "found \"\xc3\xa9\""}},
        {prefixed(std::string(40, 'x')), {}},
        firewall("log_prefix = 1\n", {prefix_rule + "found 1"}),
    });
    CHECK(read("log = [\"fragments\", \"spoofed\", \"invalid\", \"input\", \"forward\"]\n").log ==
          31);
}

TEST_CASE("config firewall: sections and keys that are none") {
    check_cases({
        firewall("pings = []\n", {"7:1: unknown key \"pings\", did you mean ping?"}),
        firewall("policy = 1\n", {"7:1: unknown key \"policy\", expected one of ping, dns_servers, "
                                  "expected_sources, log, log_prefix, allow"}),
        allow("service = [\"ssh\"]\nports = [22]\n",
              {"8:1: unknown key \"ports\", expected one of service, from, rate"}),
        firewall("allow = [\"ssh\"]\n",
                 {"7:10: allow: expected [[firewall.allow]] sections, found \"ssh\""}),
        firewall("[firewall.allow]\n",
                 {"7:1: allow: expected [[firewall.allow]] sections, found a table"}),
        {least + "[[firewall]]\n",
         {"6:1: firewall: expected one [firewall] section, found an array"}},
    });
}
