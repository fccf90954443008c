// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/open_connection.h"

#include <nlohmann/json.hpp>

#include "support/catch.h"

using namespace linkbal;
using nlohmann::json;

namespace {

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

} // namespace

TEST_CASE("endpoints have a port where the protocol has one, and brackets around IPv6") {
    CHECK(endpoint_text(address("192.0.2.9"), 80, 6) == "192.0.2.9:80");
    CHECK(endpoint_text(address("2001:db8::9"), 53, 17) == "[2001:db8::9]:53");
    CHECK(endpoint_text(address("192.0.2.9"), 0, 1) == "192.0.2.9");
    CHECK(endpoint_text(address("2001:db8::9"), 0, 58) == "[2001:db8::9]");
    CHECK(endpoint_text(address("192.0.2.9"), 1701, 47) == "192.0.2.9"); // GRE's key
}

TEST_CASE("protocols have names or numbers") {
    CHECK(protocol_text(6) == "tcp");
    CHECK(protocol_text(17) == "udp");
    CHECK(protocol_text(1) == "icmp");
    CHECK(protocol_text(58) == "icmpv6");
    CHECK(protocol_text(253) == "253");
}

TEST_CASE("for programs a connection is an object with the documented members") {
    const OpenConnection connection{
        .opener = {address("2001:db8:2::9"), address("2001:db8:9::9"), 4000, 443, 6},
        .nat_source = address("2001:db8:1::1"),
        .nat_port = 4001,
        .uplink = 7,
        .offloaded = true,
        .state = "established",
        .packets = 123,
        .bytes = uint64_t{1} << 40};
    const json expected{{"protocol", "tcp"},
                        {"source", "[2001:db8:2::9]:4000"},
                        {"destination", "[2001:db8:9::9]:443"},
                        {"uplink", "velox1"},
                        {"nat_source", "[2001:db8:1::1]:4001"},
                        {"offloaded", true},
                        {"packets", 123},
                        {"bytes", uint64_t{1} << 40},
                        {"state", "established"}};
    CHECK(json::parse(json_text(connection, "velox1")) == expected);
}
