// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "support/catch.h"
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "kernel/routes.h"
#include "program.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

constexpr uint32_t table = 77;

struct Reading {
    InterfaceNames names;
    RoutesAndRules found;
};

Reading read_all(NetlinkSocket& socket) {
    const auto interfaces = read_interfaces(socket);
    REQUIRE(interfaces);
    InterfaceNames names(*interfaces);
    auto found = read_routes_and_rules(socket, names);
    REQUIRE(found);
    return {std::move(names), *std::move(found)};
}

void ip(std::initializer_list<std::string> words) {
    const auto outcome = run(words);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
}

NextHop hop(std::string_view gateway, const std::string& device, uint32_t weight = 1) {
    return {.gateway = IpAddress::parse(gateway), .device = device, .weight = weight};
}

} // namespace

TEST_CASE("IPv4 routes over IPv6 gateways are read, written and removed") {
    LINKBAL_OWN_NAMESPACE();
    make_network({"wan1", "wan2"});
    ip({"ip", "route", "add", "198.51.100.0/24", "via", "inet6", "fe80::1", "dev", "wan1", "table",
        "77", "proto", "76"});
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    REQUIRE(socket);
    const auto first = read_all(*socket);
    REQUIRE(first.found.our_routes.size() == 1);
    const Route single = first.found.our_routes.front();
    CHECK(single.hops == std::vector{hop("fe80::1", "wan1")});

    const Route several{.table = table,
                        .destination = *Prefix::parse("203.0.113.0/24"),
                        .hops = {hop("fe80::1", "wan1", 2), hop("fe80::2", "wan2", 3)},
                        .preferred_source = std::nullopt,
                        .metric = 0};
    REQUIRE(socket->request(*route_message(RouteOperation::add, several, first.names), "add"));
    CHECK(read_all(*socket).found.our_routes == std::vector{single, several});
    for (const Route& route : {single, several}) {
        const auto removed =
            socket->request(*route_message(RouteOperation::remove, route, first.names), "remove");
        INFO((removed ? "" : removed.error().message));
        CHECK(removed);
    }
    CHECK(read_all(*socket).found.our_routes.empty());
}

TEST_CASE("each route and rule is read once, under its own family") {
    LINKBAL_OWN_NAMESPACE();
    make_network({"wan1"});
    ip({"ip", "addr", "add", "192.0.2.1/24", "dev", "wan1"});
    ip({"ip", "-6", "addr", "add", "2001:db8::1/64", "dev", "wan1", "nodad"});
    // They differ in the type of service only, which is not read.
    ip({"ip", "route", "add", "198.51.100.0/24", "dev", "wan1"});
    ip({"ip", "route", "add", "198.51.100.0/24", "tos", "0x10", "dev", "wan1"});
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    REQUIRE(socket);
    const auto found = read_all(*socket).found;
    const auto to = [&](std::string_view prefix) {
        return std::ranges::count(found.foreign_routes, *Prefix::parse(prefix),
                                  &Route::destination);
    };
    CHECK(to("192.0.2.0/24") == 1);
    CHECK(to("198.51.100.0/24") == 1);
    CHECK(to("2001:db8::/64") == 1);
    CHECK(std::ranges::count(found.foreign_rules, main_table, &Rule::table) == 2); // one a family
}

TEST_CASE("a dump that ends in an error is no empty dump") {
    LINKBAL_OWN_NAMESPACE();
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    REQUIRE(socket);
    ifaddrmsg query{};
    query.ifa_family = AF_INET;
    query.ifa_prefixlen = 24; // strict checking (kernel 4.20 and later) takes none
    const auto status =
        socket->dump({RTM_GETADDR, 0, query}, "read addresses", [](const nlmsghdr*) {}, [] {});
    REQUIRE(!status);
    CHECK(status.error().code == EINVAL);
    CHECK(status.error().message.find("read addresses") == 0);
}
