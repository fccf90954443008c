// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

ConfigCase lan(const std::string& lines, std::vector<std::string> errors) {
    return {"[[uplink]]\nname = \"velox1\"\ninterface = \"eth1\"\n[lan]\n" + lines,
            std::move(errors)};
}
ConfigCase uplink(const std::string& lines, std::vector<std::string> errors) {
    return {least + lines, std::move(errors)};
}
ConfigCase balance(const std::string& lines, std::vector<std::string> errors) {
    return {least + "[balance]\n" + lines, std::move(errors)};
}

const std::string interface_rule = "expected an interface name of 1 to 15 characters, not \"lo\" "
                                   "and without \"/\", \":\" or spaces, ";
const std::string name_rule =
    "expected a name of 1 to 15 letters, digits, \".\", \"_\" or \"-\" that is no "
    "number and no table of the system, ";
const std::string table_rule = "expected a table number from 1 to 252 or 256 to 2147483647, ";
const std::string mask_rule = "expected a mask of 32 bits with one unbroken run of ones, ";

} // namespace

TEST_CASE("config: TOML that is none is reported where it breaks") {
    CHECK(parse_errors("[lan]\ninterfaces = [\"eth0\"\n[balance]\n").size() == 1);
    CHECK(parse_errors("[lan\n").front().starts_with("1:5: "));
    CHECK(parse_errors("[lan]\ninterfaces = eth0\n").front().starts_with("2:14: "));
    CHECK(parse_errors(least + "weight = 1\nweight = 2\n").front().starts_with("7:"));
    CHECK(parse_errors(least + "[lan]\n").front().starts_with("6:"));
}

TEST_CASE("config: sections that are missing or of the wrong shape") {
    check_cases({
        {"",
         {"1:1: no [[uplink]] section: expected one for each internet link",
          "1:1: no [lan] section: expected one with interfaces = [\"...\"]"}},
        {"[lan]\ninterfaces = [\"eth0\"]\n",
         {"1:1: no [[uplink]] section: expected one for each internet link"}},
        {"lan = 3\nuplink = []\nbalance = \"x\"\n",
         {"1:7: lan: expected one [lan] section, found 3",
          "2:10: uplink: expected [[uplink]] sections, found an empty array",
          "3:11: balance: expected one [balance] section, found \"x\""}},
        {"[[lan]]\n[uplink]\n",
         {"1:1: lan: expected one [lan] section, found an array",
          "2:1: uplink: expected [[uplink]] sections, found a table"}},
        {"uplink = [7]\nlan.interfaces = [\"eth0\"]\n",
         {"1:11: uplink: expected [[uplink]] sections, found 7"}},
    });
}

TEST_CASE("config: unknown keys, with a guess where there is one") {
    check_cases({
        uplink("gatway = 1\n", {"6:1: unknown key \"gatway\", did you mean gateway?"}),
        uplink("  Weight = 1\n", {"6:3: unknown key \"Weight\", did you mean weight?"}),
        uplink("speed = true\n", {"6:1: unknown key \"speed\", expected one of name, interface, "
                                  "gateway, gateway6, table, weight, tier, bring_up, log_in, test, "
                                  "command_timeout, mss, health"}),
        uplink("[uplnk]\n", {"6:2: unknown key \"uplnk\", did you mean uplink?"}),
        uplink("[metrics]\n",
               {"6:2: unknown key \"metrics\", expected one of lan, health, uplink, balance, "
                "failover, hooks, firewall, forward, helpers"}),
        balance("mask = 1\n[balance.hash2]\n", {"7:1: unknown key \"mask\", expected one of table, "
                                                "table_name, hash, datapath, cache, attach, "
                                                "default_uplink, mark_mask, rule_priority",
                                                "8:10: unknown key \"hash2\", did you mean hash?"}),
        lan("interfaces = [\"eth0\"]\nnetwork = [\"192.0.2.0/24\"]\n",
            {"6:1: unknown key \"network\", did you mean networks?"}),
        uplink("\"\\u001b[2J\" = 1\n",
               {"6:1: unknown key \"\\x1b[2J\", expected one of name, interface, "
                "gateway, gateway6, table, weight, tier, bring_up, log_in, test, "
                "command_timeout, mss, health"}),
    });
}

TEST_CASE("config: what this version cannot do is refused, not ignored") {
    check_cases({
        uplink("[[rule]]\nname = \"banks\"\n[[rule]]\n",
               {"6:3: rule: this version has no rules yet, expected no such section"}),
    });
}

TEST_CASE("config: mistakes in [lan]") {
    const std::string network_rule = "networks: expected a network as \"ADDRESS/LENGTH\", ";
    const std::string interface_list_rule = "each " + interface_rule.substr(9);
    check_cases({
        lan("", {"4:1: interfaces is missing: expected an array of interface names"}),
        lan("interfaces = \"eth0\"\n", {"5:14: interfaces: expected an array of one or more, " +
                                        interface_list_rule + "found \"eth0\""}),
        lan("interfaces = []\n", {"5:14: interfaces: expected an array of one or more, " +
                                  interface_list_rule + "found an empty array"}),
        lan("interfaces = [\"\", \"eth0/1\", \"eth 0\", \"eth0:1\", \"lo\", \"..\", "
            "\"abcdefghijklmnop\", 5]\n",
            {"5:15: interfaces: " + interface_rule + "found \"\"",
             "5:19: interfaces: " + interface_rule + "found \"eth0/1\"",
             "5:29: interfaces: " + interface_rule + "found \"eth 0\"",
             "5:38: interfaces: " + interface_rule + "found \"eth0:1\"",
             "5:48: interfaces: " + interface_rule + "found \"lo\"",
             "5:54: interfaces: " + interface_rule + "found \"..\"",
             "5:60: interfaces: " + interface_rule + "found \"abcdefghijklmnop\"",
             "5:80: interfaces: " + interface_rule + "found 5"}),
        lan("interfaces = [\"eth0\"]\nnetworks = []\n",
            {"6:12: networks: expected an array of one or more, each a network as "
             "\"ADDRESS/LENGTH\", found an empty array"}),
        lan("interfaces = [\"eth0\"]\nnetworks = [\"192.168.0.1/24\", \"2001:db8::1/64\"]\n",
            {"6:13: networks: expected \"192.168.0.0/24\", found \"192.168.0.1/24\", which has "
             "host bits "
             "set",
             "6:31: networks: expected \"2001:db8::/64\", found \"2001:db8::1/64\", which has host "
             "bits "
             "set"}),
        lan("interfaces = [\"eth0\"]\nnetworks = [\"192.0.2.0\",\n"
            "\"192.0.2.0/33\",\n\"0.0.0.0/0\",\n\"::/0\",\n\"192.0.2.0/"
            "24\\u0000\",\n\"lan\",\n24,\n"
            "\"192.0.2.0/\",\n\"/24\"]\n",
            {"6:13: " + network_rule + "found \"192.0.2.0\"",
             "7:1: " + network_rule + "found \"192.0.2.0/33\"",
             "8:1: " + network_rule + "found \"0.0.0.0/0\"",
             "9:1: " + network_rule + "found \"::/0\"",
             "10:1: " + network_rule + "found \"192.0.2.0/24\\x00\"",
             "11:1: " + network_rule + "found \"lan\"", "12:1: " + network_rule + "found 24",
             "13:1: " + network_rule + "found \"192.0.2.0/\"",
             "14:1: " + network_rule + "found \"/24\""}),
    });
}

TEST_CASE("config: names of uplinks and tables") {
    for (const std::string name :
         {"", "abcdefghijklmnop", "a b", "a/b", "7", "0x1f", "main", "local", "default", "unspec",
          "all", "-v", ".", "velox\xc3\xa9"}) {
        INFO(name);
        const auto text =
            "[lan]\ninterfaces = [\"eth0\"]\n[[uplink]]\ninterface = \"eth1\"\nname = \"" + name +
            "\"\n[balance]\ntable_name = \"" + name + "\"\n";
        CHECK(parse_errors(text) ==
              std::vector{"5:8: name: " + name_rule + "found \"" + name + "\"",
                          "7:14: table_name: " + name_rule + "found \"" + name + "\""});
    }
    for (const std::string name :
         {"velox1", "a", "1a", "0xg", "0x", "_", "a.b-c_d", "abcdefghijklmno"}) {
        const auto text =
            "[lan]\ninterfaces = [\"eth0\"]\n[[uplink]]\ninterface = \"eth1\"\nname = \"" + name +
            "\"\n";
        CHECK(good_config(text).uplinks.at(0).name == name);
    }
}

TEST_CASE("config: mistakes in [[uplink]]") {
    check_cases({
        {"[lan]\ninterfaces = [\"eth0\"]\n  [[uplink]]\n[[uplink]]\nname = \"velox2\"\ninterface = "
         "2\n",
         {"3:3: interface is missing: " + interface_rule.substr(0, interface_rule.size() - 2),
          "3:3: name is missing: " + name_rule.substr(0, name_rule.size() - 2),
          "6:13: interface: " + interface_rule + "found 2"}},
        uplink("gateway = \"fe80::1\"\n",
               {"6:11: gateway: expected the IPv4 address of a router, found \"fe80::1\""}),
        uplink("gateway = \"192.168.1.256\"\n",
               {"6:11: gateway: expected the IPv4 address of a router, found \"192.168.1.256\""}),
        uplink("gateway = \"192.168.1.1/24\"\n",
               {"6:11: gateway: expected the IPv4 address of a router, found \"192.168.1.1/24\""}),
        uplink("gateway = \"0.0.0.0\"\ngateway6 = \"::\"\n",
               {"6:11: gateway: expected the IPv4 address of a router, found \"0.0.0.0\"",
                "7:12: gateway6: expected the IPv6 address of a router, found \"::\""}),
        uplink("gateway = \"224.0.0.1\"\ngateway6 = \"ff02::1\"\n",
               {"6:11: gateway: expected the IPv4 address of a router, found \"224.0.0.1\"",
                "7:12: gateway6: expected the IPv6 address of a router, found \"ff02::1\""}),
        uplink("gateway = \"192.168.1.1\\u0000\"\ngateway6 = \"192.0.2.1\"\n",
               {"6:11: gateway: expected the IPv4 address of a router, found \"192.168.1.1\\x00\"",
                "7:12: gateway6: expected the IPv6 address of a router, found \"192.0.2.1\""}),
        uplink("weight = 0\n", {"6:10: weight: expected an integer from 1 to 1000, found 0"}),
        uplink("weight = 1001\n", {"6:10: weight: expected an integer from 1 to 1000, found 1001"}),
        uplink("weight = -1\n", {"6:10: weight: expected an integer from 1 to 1000, found -1"}),
        uplink("weight = 1.5\n",
               {"6:10: weight: expected an integer from 1 to 1000, found the fraction 1.5"}),
        uplink("weight = \"1\"\n",
               {"6:10: weight: expected an integer from 1 to 1000, found \"1\""}),
        uplink("weight = true\n", {"6:10: weight: expected an integer from 1 to 1000, found true"}),
        uplink("weight = 1979-05-27\n",
               {"6:10: weight: expected an integer from 1 to 1000, found a date or time"}),
        uplink("weight = [1]\n",
               {"6:10: weight: expected an integer from 1 to 1000, found an array"}),
        uplink("weight = {}\n",
               {"6:10: weight: expected an integer from 1 to 1000, found a table"}),
        uplink("weight = 4294967297\n",
               {"6:10: weight: expected an integer from 1 to 1000, found 4294967297"}),
        uplink("tier = 0\n", {"6:8: tier: expected an integer from 1 to 255, found 0"}),
        uplink("tier = 256\n", {"6:8: tier: expected an integer from 1 to 255, found 256"}),
        uplink("table = 0\n", {"6:9: table: " + table_rule + "found 0"}),
        uplink("table = 253\n", {"6:9: table: " + table_rule + "found 253"}),
        uplink("table = 254\n", {"6:9: table: " + table_rule + "found 254"}),
        uplink("table = 255\n", {"6:9: table: " + table_rule + "found 255"}),
        uplink("table = 2147483648\n", {"6:9: table: " + table_rule + "found 2147483648"}),
        uplink("table = \"main\"\n", {"6:9: table: " + table_rule + "found \"main\""}),
    });
    for (const uint32_t table : {1U, 252U, 256U, 2147483647U}) {
        CHECK(good_config(least + "table = " + std::to_string(table)).uplinks[0].table == table);
    }
}

TEST_CASE("config: the largest segment of an uplink") {
    const std::string rule =
        "6:7: mss: expected \"auto\", \"off\" or an integer from 536 to 9000, ";
    check_cases({
        uplink("mss = 535\n", {rule + "found 535"}),
        uplink("mss = 9001\n", {rule + "found 9001"}),
        uplink("mss = \"1452\"\n", {rule + "found \"1452\""}),
        uplink("mss = \"pmtu\"\n", {rule + "found \"pmtu\""}),
        uplink("mss = false\n", {rule + "found false"}),
    });
    const auto read = [](const std::string& lines) {
        return good_config(least + lines).uplinks.at(0).mss;
    };
    CHECK(read("") == MssConfig{MssConfig::Mode::automatic, 0});
    CHECK(read("mss = \"auto\"\n") == MssConfig{MssConfig::Mode::automatic, 0});
    CHECK(read("mss = \"off\"\n") == MssConfig{MssConfig::Mode::off, 0});
    CHECK(read("mss = 536\n") == MssConfig{MssConfig::Mode::fixed, 536});
    CHECK(read("mss = 9000\n") == MssConfig{MssConfig::Mode::fixed, 9000});
}

TEST_CASE("config: mistakes in [balance]") {
    const std::string hash_rule =
        "7:8: hash: expected \"connection\" or \"source\" or \"destination\" or "
        "\"source-destination\", ";
    const std::string cache_rule = "expected an integer from 1024 to 16777216, ";
    check_cases({
        balance("table = 255\n", {"7:9: table: " + table_rule + "found 255"}),
        balance("hash = \"Source\"\n", {hash_rule + "found \"Source\""}),
        balance("hash = 1\n", {hash_rule + "found 1"}),
        balance("datapath = \"fast\"\n",
                {"7:12: datapath: expected \"auto\" or \"xdp\" or \"tc\" or \"classify\", found "
                 "\"fast\""}),
        balance("cache = 1023\n", {"7:9: cache: " + cache_rule + "found 1023"}),
        balance("cache = 16777217\n", {"7:9: cache: " + cache_rule + "found 16777217"}),
        balance("cache = \"big\"\n", {"7:9: cache: " + cache_rule + "found \"big\""}),
        balance("attach = \"xdp\"\n",
                {"7:10: attach: expected \"auto\" or \"tcx\" or \"clsact\", found \"xdp\""}),
        balance("default_uplink = 1\n", {"7:18: default_uplink: expected a string, found 1"}),
        balance("mark_mask = 0\n", {"7:13: mark_mask: " + mask_rule + "found 0"}),
        balance("mark_mask = -1\n", {"7:13: mark_mask: " + mask_rule + "found -1"}),
        balance("mark_mask = 0x00ff00ff\n", {"7:13: mark_mask: " + mask_rule + "found 0xff00ff"}),
        balance("mark_mask = 0x100000000\n",
                {"7:13: mark_mask: " + mask_rule + "found 0x100000000"}),
        balance("mark_mask = \"0xff\"\n", {"7:13: mark_mask: " + mask_rule + "found \"0xff\""}),
        balance("rule_priority = 0\n",
                {"7:17: rule_priority: expected an integer from 1 to 32000, found 0"}),
        balance("rule_priority = 32001\n",
                {"7:17: rule_priority: expected an integer from 1 to 32000, found 32001"}),
    });
    for (const uint32_t mask : {1U, 0xffU, 0x00ff0000U, 0x80000000U, 0xffffffffU}) {
        CHECK(good_config(least + "[balance]\nmark_mask = " + std::to_string(mask))
                  .balance.mark_mask == mask);
    }
}

TEST_CASE("config: a complete file is read whole") {
    const Config config = good_config(R"([lan]
interfaces = ["eth0", "br0.7"]
networks = ["192.168.0.0/24", "2001:db8:1::/64"]

[[uplink]]
name = "velox1"
interface = "eth1"
gateway = "192.168.1.1"
gateway6 = "fe80::1"
table = 10
weight = 3
tier = 2

  [[uplink]]
name = "velox2"
interface = "ppp0"

[balance]
table = 30
table_name = "velox"
hash = "source-destination"
datapath = "tc"
cache = 100000
attach = "clsact"
default_uplink = "velox1"
mark_mask = 0x0000ff00
rule_priority = 500
)");
    CHECK(config.lan.interfaces == std::vector<std::string>{"eth0", "br0.7"});
    REQUIRE(config.lan.networks.size() == 2);
    CHECK(config.lan.networks[1].str() == "2001:db8:1::/64");
    REQUIRE(config.uplinks.size() == 2);
    CHECK(config.uplinks[0].name == "velox1");
    CHECK(config.uplinks[0].interface == "eth1");
    CHECK(config.uplinks[0].gateway == IpAddress::parse("192.168.1.1"));
    CHECK(config.uplinks[0].gateway6 == IpAddress::parse("fe80::1"));
    CHECK(config.uplinks[0].table == 10U);
    CHECK(config.uplinks[0].weight == 3);
    CHECK(config.uplinks[0].tier == 2);
    CHECK(config.balance.table == 30U);
    CHECK(config.balance.table_name == "velox");
    CHECK(config.balance.hash == HashMode::source_destination);
    CHECK(config.balance.datapath == DatapathMode::tc);
    CHECK(config.balance.cache == 100000U);
    CHECK(config.balance.attach == AttachMode::clsact);
    CHECK(config.balance.default_uplink == "velox1");
    CHECK(config.balance.mark_mask == 0x0000ff00);
    CHECK(config.balance.rule_priority == 500);
    CHECK(config.positions.at("lan") == Position{1, 1});
    CHECK(config.positions.at("lan.interfaces[1]") == Position{2, 23});
    CHECK(config.positions.at("lan.networks[1]") == Position{3, 31});
    CHECK(config.positions.at("uplink[0].gateway6") == Position{9, 12});
    CHECK(config.positions.at("uplink[1]") == Position{14, 3});
    CHECK_FALSE(config.positions.contains("uplink[1].gateway"));
    CHECK(config.positions.at("balance") == Position{18, 1});
    CHECK(config.positions.at("balance.mark_mask") == Position{26, 13});
}

TEST_CASE("config: what is omitted has its documented default") {
    const Config config = good_config(least);
    CHECK(config.lan.networks.empty());
    CHECK_FALSE(config.uplinks[0].gateway);
    CHECK_FALSE(config.uplinks[0].gateway6);
    CHECK_FALSE(config.uplinks[0].table);
    CHECK(config.uplinks[0].weight == 1);
    CHECK(config.uplinks[0].tier == 1);
    CHECK_FALSE(config.balance.table);
    CHECK(config.balance.table_name == "balance");
    CHECK(config.balance.hash == HashMode::connection);
    CHECK(config.balance.datapath == DatapathMode::automatic);
    CHECK_FALSE(config.balance.cache);
    CHECK(config.balance.attach == AttachMode::automatic);
    CHECK_FALSE(config.balance.default_uplink);
    CHECK(config.balance.mark_mask == 0x00ff0000);
    CHECK(config.balance.rule_priority == 10000);
}
