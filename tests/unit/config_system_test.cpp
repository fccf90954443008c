// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration against a machine: the how-to's gateway, with one thing wrong at a time.
#include <functional>

#include "config_cases.h"
#include "core/config_check.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// 13 lines.
const std::string two_links = R"([lan]
interfaces = ["eth0"]
[[uplink]]
name = "velox1"
interface = "eth1"
gateway = "192.168.1.1"
table = 10
[[uplink]]
name = "velox2"
interface = "eth2"
gateway = "192.168.2.1"
table = 11
[balance]
)";

InterfaceAddress address(std::string_view text) {
    const size_t slash = text.find('/');
    const auto value = IpAddress::parse(text.substr(0, slash)).value();
    const auto length = static_cast<unsigned>(std::stoul(std::string(text.substr(slash + 1))));
    return {value, length, std::nullopt, value.is_link_local()};
}

Interface interface(const std::string& name, const std::vector<std::string_view>& addresses) {
    Interface result;
    result.name = name;
    result.up = true;
    for (const auto text : addresses) {
        result.addresses.push_back(address(text));
    }
    return result;
}

Rule rule(uint32_t priority, uint32_t table) {
    Rule result;
    result.priority = priority;
    result.table = table;
    return result;
}
Rule mark_rule(uint32_t priority, uint32_t mark, uint32_t mask) {
    Rule result = rule(priority, 100);
    result.mark = mark;
    result.mark_mask = mask;
    return result;
}
Rule not_mark_rule(uint32_t priority, uint32_t mark, uint32_t mask) {
    Rule result = mark_rule(priority, mark, mask);
    result.inverted = true;
    return result;
}

Route route(uint32_t table, std::string_view destination, const std::string& device,
            std::optional<std::string_view> gateway) {
    const auto next = gateway ? IpAddress::parse(*gateway) : std::nullopt;
    return {table, Prefix::parse(destination).value(), {{next, device, 1}}, std::nullopt, 0};
}

// The machine of the how-to, with IPv6.
Facts machine() {
    Facts facts;
    facts.interfaces = {
        interface("lo", {"127.0.0.1/8", "::1/128"}),
        interface("eth0", {"192.168.0.1/24", "2001:db8:0::1/64", "fe80::1:1/64"}),
        interface("eth1", {"192.168.1.2/24", "2001:db8:1::2/64", "fe80::1:2/64"}),
        interface("eth2", {"192.168.2.2/24", "fe80::1:3/64"}),
    };
    facts.foreign_rules = {rule(0, 255), rule(32766, 254), rule(32767, 253)};
    facts.foreign_routes = {route(main_table, "192.168.0.0/24", "eth0", std::nullopt),
                            route(main_table, "0.0.0.0/0", "eth1", "192.168.1.1")};
    facts.foreign_table_names = {{255, "local"}, {254, "main"}, {253, "default"}, {0, "unspec"}};
    return facts;
}

struct SystemCase {
    std::string text;
    std::function<void(Facts&)> change;
    std::vector<std::string> errors;
};

void unchanged(Facts&) {}

void check_cases(const std::vector<SystemCase>& cases) {
    for (const SystemCase& item : cases) {
        INFO(item.text);
        Facts facts = machine();
        item.change(facts);
        CHECK(lines_of(check_system(good_config(item.text), facts, "f.toml")) == item.errors);
    }
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    return text.replace(text.find(what), what.size(), by);
}

} // namespace

TEST_CASE("config system: the how-to's gateway is fine") {
    check_cases({{two_links, unchanged, {}},
                 {two_links + "table = 30\ntable_name = \"velox\"\n", unchanged, {}}});
}

TEST_CASE("config system: interfaces that are not there") {
    check_cases({
        {replaced(two_links, "eth1", "eth9"),
         unchanged,
         {"5:13: interface: expected an interface of this machine (eth0, eth1, eth2), found "
          "\"eth9\""}},
        {replaced(two_links, "\"eth0\"", "\"eth0\", \"br0\""),
         unchanged,
         {"2:23: interfaces: expected an interface of this machine (eth0, eth1, eth2), found "
          "\"br0\""}},
        {replaced(two_links, "interfaces = [\"eth0\"]",
                  "interfaces = [\"x\"]\nnetworks = [\"10.0.0.0/8\"]"),
         [](Facts& facts) { facts.interfaces.clear(); },
         {"2:15: interfaces: expected an interface of this machine (none), found \"x\"",
          "6:13: interface: expected an interface of this machine (none), found \"eth1\"",
          "11:13: interface: expected an interface of this machine (none), found \"eth2\""}},
    });
}

TEST_CASE("config system: gateways that the link cannot reach") {
    const auto with6 = [](std::string_view gateway) {
        return replaced(two_links, "table = 10", "gateway6 = \"" + std::string(gateway) + "\"");
    };
    const auto far = replaced(two_links, "192.168.1.1", "192.168.9.1");
    check_cases({
        {far,
         unchanged,
         {"6:11: gateway: expected an address in a subnet of eth1 (192.168.1.0/24), found "
          "192.168.9.1"}},
        {far, [](Facts& facts) { facts.interfaces[2].point_to_point = true; }, {}},
        {far,
         [](Facts& facts) {
             facts.foreign_routes.push_back(
                 route(main_table, "192.168.9.1/32", "eth1", std::nullopt));
         },
         {}},
        {far,
         [](Facts& facts) {
             facts.foreign_routes.push_back(
                 route(main_table, "192.168.9.0/24", "eth1", "192.168.1.7"));
             facts.foreign_routes.push_back(
                 route(main_table, "192.168.9.0/24", "eth2", std::nullopt));
             facts.foreign_routes.push_back(route(main_table, "0.0.0.0/0", "eth1", std::nullopt));
             facts.foreign_routes.push_back(route(99, "192.168.9.0/24", "eth1", std::nullopt));
         },
         {"6:11: gateway: expected an address in a subnet of eth1 (192.168.1.0/24), found "
          "192.168.9.1"}},
        {replaced(two_links, "192.168.1.1", "192.168.1.2"),
         unchanged,
         {"6:11: gateway: expected the address of a router, found 192.168.1.2, which eth1 itself "
          "has"}},
        {replaced(two_links, "192.168.1.1", "192.168.2.2"),
         unchanged,
         {"6:11: gateway: expected the address of a router, found 192.168.2.2, which eth2 itself "
          "has"}},
        {two_links,
         [](Facts& facts) { facts.interfaces[3] = interface("eth2", {"2001:db8:2::2/64"}); },
         {"11:11: gateway: expected an address in a subnet of eth2 (which has no IPv4 address), "
          "found "
          "192.168.2.1"}},
        {with6("fe80::99"), unchanged, {}},
        {with6("fe80:0:0:1::1"), unchanged, {}},
        {with6("2001:db8:1::1"), unchanged, {}},
        {with6("2001:db8:9::1"),
         unchanged,
         {"7:12: gateway6: expected an address in a subnet of eth1 (2001:db8:1::/64, fe80::/64), "
          "found "
          "2001:db8:9::1"}},
    });
}

TEST_CASE("config system: an uplink without a gateway needs one to follow") {
    const auto without = replaced(two_links, "gateway = \"192.168.2.1\"\n", "");
    const auto only6 = replaced(two_links, "gateway = \"192.168.2.1\"", "gateway6 = \"fe80::99\"");
    const std::string said =
        "8:1: gateway is missing: expected one of the family that eth2 has an address of, or a "
        "default route through eth2 to follow, found neither";
    const auto add_route = [](const Route& route) {
        return [=](Facts& facts) { facts.foreign_routes.push_back(route); };
    };
    const auto add_address6 = [](Facts& facts) {
        facts.interfaces[3].addresses.push_back(address("2001:db8:2::2/64"));
    };
    check_cases({
        {replaced(two_links, "gateway = \"192.168.1.1\"\n", ""), unchanged, {}},
        {without, unchanged, {said}},
        {without, add_route(route(77, "0.0.0.0/0", "eth2", "192.168.2.1")), {said}},
        {without, add_route(route(main_table, "10.0.0.0/8", "eth2", "192.168.2.1")), {said}},
        {without, add_route(route(main_table, "0.0.0.0/0", "eth2", "192.168.2.1")), {}},
        {without, add_route(route(main_table, "::/0", "eth2", "fe80::99")), {said}},
        {without,
         [&](Facts& facts) {
             add_address6(facts);
             add_route(route(main_table, "::/0", "eth2", "fe80::99"))(facts);
         },
         {}},
        {without, [](Facts& facts) { facts.interfaces[3].point_to_point = true; }, {}},
        {only6, unchanged, {said}},
        {only6, add_address6, {}},
        {without,
         [](Facts& facts) { facts.interfaces[3] = interface("eth2", {"fe80::1:3/64"}); },
         {"10:13: interface: expected one with an address, found eth2 without"}},
    });
}

TEST_CASE("config system: the LAN is apart from the uplinks") {
    const auto given = [](std::string_view networks) {
        return replaced(two_links, "[[uplink]]",
                        "networks = [" + std::string(networks) + "]\n[[uplink]]");
    };
    check_cases({
        {given("\"10.0.0.0/8\""), unchanged, {}},
        {given("\"10.0.0.0/8\", \"192.168.0.0/16\""),
         [](Facts& facts) { facts.interfaces[3] = interface("eth2", {}); },
         {"3:27: networks: expected a LAN apart from the uplinks, found 192.168.0.0/16, which "
          "overlaps "
          "with 192.168.1.0/24 of uplink velox1 (eth1)",
          "11:13: interface: expected one with an address, found eth2 without"}},
        {given("\"2001:db8::/32\""),
         unchanged,
         {"3:13: networks: expected a LAN apart from the uplinks, found 2001:db8::/32, which "
          "overlaps "
          "with 2001:db8:1::/64 of uplink velox1 (eth1)"}},
        {two_links,
         [](Facts& facts) { facts.interfaces[1].addresses.push_back(address("192.168.2.129/25")); },
         {"2:15: interfaces: expected a LAN apart from the uplinks, found 192.168.2.128/25, which "
          "overlaps with 192.168.2.0/24 of uplink velox2 (eth2)"}},
        {two_links,
         [](Facts& facts) { facts.interfaces[1] = interface("eth0", {"fe80::1:1/64"}); },
         {"2:15: interfaces: expected an interface with an address, because no networks are given, "
          "found eth0 without one"}},
        {given("\"10.0.0.0/8\""), [](Facts& facts) { facts.interfaces[1].addresses.clear(); }, {}},
    });
}

TEST_CASE("config system: tables and names that are somebody else's") {
    const auto named = [](uint32_t table, const char* name) {
        return [=](Facts& facts) { facts.foreign_table_names.push_back({table, name}); };
    };
    check_cases({
        {two_links,
         [](Facts& facts) {
             facts.foreign_routes.push_back(route(10, "192.0.2.0/24", "eth0", {}));
         },
         {"7:9: table: expected an unused table, found 10, which has a route to 192.0.2.0/24 that "
          "is not "
          "linkbal's"}},
        {two_links + "table = 30\n",
         [](Facts& facts) { facts.foreign_rules.push_back(rule(5, 30)); },
         {"14:9: table: expected an unused table, found 30, which is looked up by rule 5 that is "
          "not "
          "linkbal's"}},
        {two_links, named(10, "velox1"), {}},
        {two_links,
         named(20, "velox1"),
         {"4:8: name: expected a name that no other table has, found velox1, which names table 20 "
          "in "
          "/etc/iproute2"}},
        {replaced(two_links, "table = 10\n", ""),
         named(20, "velox1"),
         {"4:8: name: expected a name that no other table has, found velox1, which names table 20 "
          "in "
          "/etc/iproute2"}},
        {two_links,
         named(11, "vpn"),
         {"12:9: table: expected a number without a name, found 11, which is vpn in "
          "/etc/iproute2"}},
        {two_links + "table_name = \"velox\"\n",
         named(30, "velox"),
         {"14:14: table_name: expected a name that no other table has, found velox, which names "
          "table 30 "
          "in /etc/iproute2"}},
        {two_links,
         named(30, "balance"),
         {"13:1: table_name: expected a name that no other table has, found balance, which names "
          "table "
          "30 in /etc/iproute2"}},
    });
}

TEST_CASE("config system: marks and priorities that are somebody else's") {
    const auto with = [](const Rule& rule) {
        return [=](Facts& facts) { facts.foreign_rules.push_back(rule); };
    };
    check_cases({
        {two_links + "mark_mask = 0x00ff0000\n",
         with(mark_rule(52, 0x80000, 0xff0000)),
         {"14:13: mark_mask: expected bits that no rule uses (such as 0xff000000), found "
          "0x00ff0000, and "
          "rule 52 has fwmark 0x80000/0xff0000"}},
        {two_links,
         with(mark_rule(52, 3, 0xffffffff)),
         {"13:1: mark_mask: expected bits that no rule uses, found 0x00ff0000, and rule 52 has "
          "fwmark "
          "0x3/0xffffffff"}},
        {two_links + "mark_mask = 0xffffffff\n",
         with(mark_rule(52, 1, 1)),
         {"14:13: mark_mask: expected bits that no rule uses, found 0xffffffff, and rule 52 has "
          "fwmark "
          "0x1/0x1"}},
        {two_links, with(mark_rule(52, 0xca6c, 0xffff)), {}},
        {two_links, with(not_mark_rule(32765, 0xca6c, 0xffffffff)), {}}, // wg-quick's
        {two_links + "rule_priority = 500\n",
         with(rule(509, 100)),
         {"14:17: rule_priority: expected 10 priorities that no rule has, found 500, and rule 509 "
          "is not "
          "linkbal's"}},
        {two_links + "rule_priority = 500\n", with(rule(510, 100)), {}},
        {two_links + "rule_priority = 500\n", with(rule(499, 100)), {}},
        {two_links,
         with(rule(10000, 100)),
         {"13:1: rule_priority: expected 10 priorities that no rule has, found 10000, and rule "
          "10000 is "
          "not linkbal's"}},
    });
}
