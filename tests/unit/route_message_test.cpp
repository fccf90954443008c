// SPDX-License-Identifier: GPL-2.0-or-later
// rtnetlink messages, decoded by hand.
#include <cstring>
#include <map>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "gateway_cases.h"
#include "kernel/routes.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using Bytes = std::vector<uint8_t>;
using Attributes = std::map<uint16_t, Bytes>;

Bytes bytes(const void* data, size_t size) {
    const auto* first = static_cast<const uint8_t*>(data);
    return {first, first + size};
}
Bytes number(uint32_t value) { return bytes(&value, sizeof(value)); }
Bytes address_bytes(std::string_view text) {
    const auto value = ip(text);
    return {value.bytes().begin(), value.bytes().end()};
}

// No attribute comes twice.
int keep(const nlattr* attribute, void* all) {
    const auto [entry, fresh] = static_cast<Attributes*>(all)->emplace(
        attribute->nla_type,
        bytes(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute)));
    CHECK(fresh);
    return MNL_CB_OK;
}
Attributes attributes_of(const NetlinkMessage& message, size_t family_header) {
    Attributes all;
    CHECK(mnl_attr_parse(message.header(), static_cast<unsigned>(family_header), keep, &all) ==
          MNL_CB_OK);
    return all;
}

template <typename Header>
Header header_of(const NetlinkMessage& message) {
    Header header{};
    std::memcpy(&header, mnl_nlmsg_get_payload(message.header()), sizeof(header));
    return header;
}

// eth0 is 1, eth1 is 2 and so on.
InterfaceNames names(size_t count = 3) {
    std::vector<Interface> interfaces;
    for (uint32_t i = 0; i < count; ++i) {
        interfaces.push_back(interface(fmt::format("eth{}", i), {}));
        interfaces.back().index = i + 1;
    }
    return InterfaceNames(interfaces);
}

NetlinkMessage message(RouteOperation operation, const Route& route, size_t devices = 3) {
    auto made = route_message(operation, route, names(devices));
    REQUIRE(made);
    return *std::move(made);
}

} // namespace

TEST_CASE("type and flags of route messages") {
    struct Case {
        RouteOperation operation;
        uint16_t type, flags;
    };
    for (const Case& one :
         {Case{RouteOperation::add, RTM_NEWROUTE, NLM_F_CREATE},
          Case{RouteOperation::replace, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE},
          Case{RouteOperation::remove, RTM_DELROUTE, 0}}) {
        for (const FamilyWords& words : both_families) {
            const auto made =
                message(one.operation, route(10, words.any, {via(words.gateway1, "eth1")}));
            CHECK(made.header()->nlmsg_type == one.type);
            CHECK(made.header()->nlmsg_flags == one.flags);
            const auto header = header_of<rtmsg>(made);
            CHECK(header.rtm_family == socket_family(words.family));
            CHECK(header.rtm_protocol == 76);
            CHECK(header.rtm_type == RTN_UNICAST);
            CHECK(header.rtm_table == 10);
            CHECK(header.rtm_dst_len == 0);
        }
    }
}

TEST_CASE("attributes of a default route, in both families") {
    for (const FamilyWords& words : both_families) {
        const auto made =
            message(RouteOperation::add, route(10, words.any, {via(words.gateway1, "eth1")}, 1024));
        CHECK(attributes_of(made, sizeof(rtmsg)) ==
              Attributes{{RTA_TABLE, number(10)},
                         {RTA_PRIORITY, number(1024)},
                         {RTA_GATEWAY, address_bytes(words.gateway1)},
                         {RTA_OIF, number(2)}});
        CHECK(header_of<rtmsg>(made).rtm_scope == RT_SCOPE_UNIVERSE);
    }
}

TEST_CASE("attributes of a subnet's route, in both families") {
    for (const FamilyWords& words : both_families) {
        Route subnet = route(10, words.subnet1, {through("eth2")});
        subnet.preferred_source = ip(words.own1);
        for (const auto operation : {RouteOperation::add, RouteOperation::remove}) {
            const auto made = message(operation, subnet);
            const auto header = header_of<rtmsg>(made);
            CHECK(header.rtm_dst_len == subnet.destination.length());
            CHECK(header.rtm_scope == RT_SCOPE_LINK);
            const auto destination = subnet.destination.address().str();
            CHECK(attributes_of(made, sizeof(rtmsg)) ==
                  Attributes{{RTA_TABLE, number(10)},
                             {RTA_DST, address_bytes(destination)},
                             {RTA_PREFSRC, address_bytes(words.own1)},
                             {RTA_OIF, number(3)}});
        }
    }
}

TEST_CASE("what is removed matches any scope") {
    for (const FamilyWords& words : both_families) {
        const auto single =
            message(RouteOperation::remove, route(10, words.any, {via(words.gateway1, "eth1")}));
        CHECK(header_of<rtmsg>(single).rtm_scope == RT_SCOPE_NOWHERE);
        const auto several = message(RouteOperation::remove,
                                     route(10, words.any, {through("eth1"), through("eth2")}));
        CHECK(header_of<rtmsg>(several).rtm_scope == RT_SCOPE_NOWHERE);
    }
}

TEST_CASE("table numbers above 255 are in the attribute") {
    const std::map<uint32_t, uint8_t> cases{{1, 1},      {252, 252},        {254, 254},
                                            {255, 255},  {256, 252},        {257, 252},
                                            {1000, 252}, {4294967295U, 252}};
    for (const auto& [table, byte] : cases) {
        INFO(table);
        const auto made =
            message(RouteOperation::add, route(table, "0.0.0.0/0", {through("eth1")}));
        CHECK(header_of<rtmsg>(made).rtm_table == byte);
        CHECK(attributes_of(made, sizeof(rtmsg)).at(RTA_TABLE) == number(table));
        Rule rule;
        rule.table = table;
        const auto rule_made = rule_message(true, rule);
        CHECK(header_of<fib_rule_hdr>(rule_made).table == byte);
        CHECK(attributes_of(rule_made, sizeof(fib_rule_hdr)).at(FRA_TABLE) == number(table));
    }
}

TEST_CASE("a multipath route of 255 hops fits, in both families") {
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        const auto other = ip(words.gateway2);
        std::vector<NextHop> hops;
        for (uint32_t i = 0; i < 255; ++i) {
            hops.push_back({other, fmt::format("eth{}", i), 256 - i % 2});
        }
        const auto made = message(RouteOperation::add, {30, net(words.any), hops, {}, 0}, 255);
        const auto attributes = attributes_of(made, sizeof(rtmsg));
        CHECK(attributes.size() == 2);
        CHECK(mnl_nlmsg_ok(made.header(), static_cast<int>(made.header()->nlmsg_len)));
        const Bytes& multipath = attributes.at(RTA_MULTIPATH);
        const size_t each = sizeof(rtnexthop) + sizeof(nlattr) + other.bytes().size();
        REQUIRE(multipath.size() == 255 * each);
        for (uint32_t i = 0; i < 255; ++i) {
            rtnexthop hop{};
            std::memcpy(&hop, &multipath[i * each], sizeof(hop));
            nlattr gateway{};
            std::memcpy(&gateway, &multipath[i * each + sizeof(hop)], sizeof(gateway));
            const auto start = static_cast<ptrdiff_t>(i * each + sizeof(hop) + sizeof(gateway));
            REQUIRE(hop.rtnh_len == each);
            REQUIRE(hop.rtnh_hops == 255 - i % 2);
            REQUIRE(hop.rtnh_ifindex == static_cast<int>(i + 1));
            REQUIRE(gateway.nla_type == RTA_GATEWAY);
            REQUIRE(
                Bytes(multipath.begin() + start,
                      multipath.begin() + start + static_cast<ptrdiff_t>(other.bytes().size())) ==
                address_bytes(words.gateway2));
        }
    }
}

TEST_CASE("a hop without a gateway has none in the message") {
    const auto made =
        message(RouteOperation::add,
                route(30, "0.0.0.0/0", {through("eth1", 3), via("192.0.2.1", "eth2")}));
    const Bytes multipath = attributes_of(made, sizeof(rtmsg)).at(RTA_MULTIPATH);
    rtnexthop hop{};
    std::memcpy(&hop, multipath.data(), sizeof(hop));
    CHECK(hop.rtnh_len == sizeof(rtnexthop));
    CHECK(hop.rtnh_hops == 2);
    CHECK(multipath.size() == 2 * sizeof(rtnexthop) + sizeof(nlattr) + 4);
}

TEST_CASE("a route without hops is unreachable, in both families") {
    for (const FamilyWords& words : both_families) {
        for (const auto operation :
             {RouteOperation::add, RouteOperation::replace, RouteOperation::remove}) {
            const auto made = message(operation, route(30, words.any, {}, 1024));
            const auto header = header_of<rtmsg>(made);
            CHECK(header.rtm_family == socket_family(words.family));
            CHECK(header.rtm_protocol == 76);
            CHECK(header.rtm_type == RTN_UNREACHABLE);
            CHECK(header.rtm_flags == 0);
            CHECK(attributes_of(made, sizeof(rtmsg)) ==
                  Attributes{{RTA_TABLE, number(30)}, {RTA_PRIORITY, number(1024)}});
        }
    }
}

// The kernel then takes the gateway as it is, also while the link has no carrier.
TEST_CASE("IPv6 gateways are on the link, IPv4 ones are looked up") {
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        const unsigned expected = words.family == Family::ipv6 ? RTNH_F_ONLINK : 0;
        const Route single = route(10, words.any, {via(words.gateway1, "eth1")});
        CHECK(header_of<rtmsg>(message(RouteOperation::add, single)).rtm_flags == expected);
        CHECK(header_of<rtmsg>(message(RouteOperation::replace, single)).rtm_flags == expected);
        CHECK(header_of<rtmsg>(message(RouteOperation::remove, single)).rtm_flags == 0);
        const Route plain = route(10, words.any, {through("eth1")});
        CHECK(header_of<rtmsg>(message(RouteOperation::add, plain)).rtm_flags == 0);

        const auto several =
            message(RouteOperation::add,
                    route(30, words.any, {via(words.gateway1, "eth1"), through("eth2")}));
        CHECK(header_of<rtmsg>(several).rtm_flags == 0);
        const Bytes multipath = attributes_of(several, sizeof(rtmsg)).at(RTA_MULTIPATH);
        rtnexthop hop{};
        std::memcpy(&hop, multipath.data(), sizeof(hop));
        CHECK(hop.rtnh_flags == expected);
        std::memcpy(&hop, &multipath.at(hop.rtnh_len), sizeof(hop));
        CHECK(hop.rtnh_flags == 0);
    }
}

TEST_CASE("a route through a device that is not there is an error") {
    for (const auto& hops : {std::vector{through("eth9")},
                             std::vector{via("192.0.2.1", "eth1"), via("192.0.2.1", "eth9")}}) {
        const auto made = route_message(RouteOperation::add, route(10, "0.0.0.0/0", hops), names());
        REQUIRE_FALSE(made);
        CHECK(made.error().message == "route to 0.0.0.0/0: there is no interface eth9");
    }
}

TEST_CASE("rule messages, with each match") {
    struct Case {
        Rule rule;
        uint8_t source_length;
        Attributes matches;
    };
    for (const FamilyWords& words : both_families) {
        Rule plain;
        plain.family = words.family;
        plain.priority = 10002;
        plain.table = 10;
        std::vector<Case> cases(6, {plain, 0, {}});
        const auto own = ip(words.own1);
        cases[1].rule.source = Prefix(own, own.bits());
        cases[1].source_length = static_cast<uint8_t>(own.bits());
        cases[1].matches = {{FRA_SRC, address_bytes(words.own1)}};
        cases[2].rule.mark = 0x20000;
        cases[2].rule.mark_mask = 0xff0000;
        cases[2].matches = {{FRA_FWMARK, number(0x20000)}, {FRA_FWMASK, number(0xff0000)}};
        cases[3].rule.input_interface = "eth0";
        cases[3].matches = {{FRA_IIFNAME, bytes("eth0", 5)}};
        cases[4].rule.suppress_prefix_length = 0;
        cases[4].matches = {{FRA_SUPPRESS_PREFIXLEN, number(0)}};
        cases[5].rule.output_interface = "eth1";
        cases[5].matches = {{FRA_OIFNAME, bytes("eth1", 5)}};
        for (const bool add : {true, false}) {
            for (const Case& one : cases) {
                const auto made = rule_message(add, one.rule);
                CHECK(made.header()->nlmsg_type == (add ? RTM_NEWRULE : RTM_DELRULE));
                CHECK(made.header()->nlmsg_flags == (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
                const auto header = header_of<fib_rule_hdr>(made);
                CHECK(header.family == socket_family(words.family));
                CHECK(header.action == FR_ACT_TO_TBL);
                CHECK(header.src_len == one.source_length);
                CHECK(header.dst_len == 0);
                Attributes expected = one.matches;
                expected.emplace(FRA_PRIORITY, number(10002));
                expected.emplace(FRA_TABLE, number(10));
                expected.emplace(FRA_PROTOCOL, Bytes{76});
                CHECK(attributes_of(made, sizeof(fib_rule_hdr)) == expected);
            }
        }
    }
}
