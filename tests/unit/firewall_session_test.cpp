// SPDX-License-Identifier: GPL-2.0-or-later
// Whether the firewall would let somebody in again, for both families and all ways to come.
#include "core/firewall_session.h"

#include "core/firewall_rules.h"
#include "gateway_cases.h"

using namespace linkbal;
using namespace linkbal::test;
using Side = SessionWay::Side;

namespace {

AllowConfig allow(uint16_t first, uint16_t last, Origins from,
                  Transport transport = Transport::tcp) {
    return {.services = {{transport, {first, last}}}, .from = std::move(from), .rate = {}};
}
Origins from(bool lan, bool uplinks, const std::vector<std::string_view>& networks = {}) {
    return {.lan = lan, .uplinks = uplinks, .networks = nets(networks)};
}

Config filtered(std::vector<AllowConfig> allowed) {
    Config config = two_links();
    config.firewall = FirewallConfig{};
    config.firewall->allow = std::move(allowed);
    return config;
}

Session session(std::string_view client, std::string_view server) {
    return {ip(client), ip(server), 22};
}

struct Client {
    const char* address;
    const char* server;
};
const Client lan4{"192.168.0.77", "192.168.0.1"};
const Client lan6{"2001:db8:0:1::77", "2001:db8:0:1::1"};
const Client link_local{"fe80::77", "fe80::1"};
const Client outside4{"203.0.113.7", "192.168.1.2"};
const Client outside6{"2001:db8:ff::7", "2001:db8:1::2"};
const Client next_door{"192.168.1.77", "192.168.1.2"};
const Client elsewhere{"192.168.7.7", "192.168.2.2"}; // private, by an uplink
const Client local6{"fd00::7", "2001:db8:2::2"};
const Client management{"172.16.0.9", "172.16.0.1"};

std::string obstacle(const Config& config, const Client& client) {
    Facts facts = machine();
    facts.interfaces.push_back(interface("mgmt0", {"172.16.0.1/24"}));
    const Session one = session(client.address, client.server);
    const auto found =
        session_obstacle(config, lan_networks(config, facts), session_way(config, facts, one), one);
    return found ? found->reason + "; " + found->remedy : "";
}

bool admitted(const Config& config, const Client& client) {
    INFO(client.address << " " << obstacle(config, client));
    return obstacle(config, client).empty();
}

const std::array everybody{lan4,      lan6,      link_local, outside4,  outside6,
                           next_door, elsewhere, local6,     management};

} // namespace

TEST_CASE("a session comes by the device that its addresses tell of") {
    const Facts facts = machine();
    const auto way = [&](const Client& client) {
        return session_way(two_links(), facts, session(client.address, client.server));
    };
    CHECK(way(lan4).side == Side::lan);
    CHECK(way(lan6).device == "eth0");
    CHECK(way(link_local).side == Side::lan);
    CHECK(way({"192.168.0.77", "192.168.1.2"}).side == Side::lan); // by our outer address
    CHECK(way({"10.1.1.1", "192.168.0.1"}).side == Side::lan);     // by a router of the LAN's
    CHECK(way(outside4).uplink == "velox1");
    CHECK(way(outside6).side == Side::uplink);
    CHECK(way({"fe80::77", "fe80::3"}).uplink == "velox2");
    CHECK(way(next_door).neighbour);
    CHECK(!way(outside4).neighbour);
    CHECK(way({"203.0.113.7", "203.0.113.1"}) == SessionWay{});
}

TEST_CASE("a session from behind a router comes by the device that a route leads to") {
    Facts facts = machine();
    Config routed = two_links();
    routed.lan.networks = nets({"10.9.0.0/16"});
    const auto device_of = [&](std::string_view server) {
        return session_way(routed, facts, session("10.9.1.1", server)).device;
    };
    CHECK(device_of("192.168.0.1") == "eth0");
    CHECK(device_of("192.168.1.2") == "eth1"); // who knows
    facts.foreign_routes = {route(main_table, "0.0.0.0/0", {via("192.168.0.9", "eth0")}),
                            route(77, "10.9.0.0/16", {via("192.168.0.9", "eth0")})};
    CHECK(device_of("192.168.1.2") == "eth1");
    facts.foreign_routes.push_back(route(main_table, "10.9.0.0/16", {via("192.168.0.9", "eth0")}));
    CHECK(device_of("192.168.1.2") == "eth0");
    facts.foreign_routes.push_back(route(main_table, "10.9.1.0/24", {through("wg0")}));
    CHECK(device_of("192.168.0.1") == "wg0");
    // Who has come to an uplink's address has come by that uplink, whichever leads back.
    facts.foreign_routes = {route(main_table, "10.9.0.0/16", {via("192.168.2.1", "eth2")})};
    CHECK(device_of("192.168.1.2") == "eth1");
}

TEST_CASE("without a firewall nobody is kept out") {
    for (const Client& client : everybody) {
        CHECK(admitted(two_links(), client));
    }
}

TEST_CASE("what no rule allows is kept out, wherever it comes from") {
    const std::vector<Config> configs{
        filtered({}), filtered({allow(23, 65535, from(true, true, {"0.0.0.0/0", "::/0"}))}),
        filtered({allow(1, 21, from(true, true))}),
        filtered({allow(22, 22, from(true, true), Transport::udp)})};
    for (const Config& config : configs) {
        for (const Client& client : everybody) {
            CHECK(!admitted(config, client));
        }
    }
    CHECK(obstacle(filtered({}), lan4) ==
          "nothing allows 22/tcp; [[firewall.allow]] service = [\"22/tcp\"], from = [\"lan\"]");
    CHECK(obstacle(filtered({}), outside6) == "nothing allows 22/tcp; [[firewall.allow]] service = "
                                              "[\"22/tcp\"], from = [\"2001:db8:ff::7/128\"]");
}

TEST_CASE("origins admit those who come from there") {
    const auto open_to = [](Origins origins) {
        return filtered({allow(1, 21, from(true, true)), allow(20, 30, std::move(origins))});
    };
    for (const Client& client : {lan4, lan6, link_local}) {
        CHECK(admitted(open_to(from(true, false)), client));
        CHECK(!admitted(open_to(from(false, true)), client));
    }
    for (const Client& client : {outside4, outside6, next_door}) {
        CHECK(admitted(open_to(from(false, true)), client));
        CHECK(!admitted(open_to(from(true, false)), client));
    }
    CHECK(admitted(open_to(from(false, false, {"203.0.113.0/24"})), outside4));
    CHECK(!admitted(open_to(from(false, false, {"203.0.113.0/24"})), outside6));
    CHECK(admitted(open_to(from(false, false, {"2001:db8:ff::/48"})), outside6));
    CHECK(!admitted(open_to(from(false, false, {"198.51.100.0/24"})), outside4));
    CHECK(admitted(open_to(from(false, false, {"172.16.0.0/24"})), management));
    CHECK(!admitted(open_to(from(true, true)), management));
    CHECK(obstacle(open_to(from(true, false)), outside4) ==
          "firewall.allow[1] allows 22/tcp from elsewhere only; [[firewall.allow]] from, with "
          "\"203.0.113.7/32\" in it");
    CHECK(obstacle(open_to(from(false, true)), lan4).find("with \"lan\" in it") !=
          std::string::npos);
}

TEST_CASE("private sources are spoofed ones on an uplink, unless they are expected or next door") {
    Config config = filtered({allow(22, 22, from(true, true, {"0.0.0.0/0", "::/0"}))});
    for (const Client& client : everybody) {
        const bool spoofed =
            client.address == elsewhere.address || client.address == local6.address;
        CHECK(admitted(config, client) == !spoofed);
    }
    CHECK(obstacle(config, local6).find("[firewall] expected_sources = [\"fd00::7/128\"]") !=
          std::string::npos);
    config.firewall->expected_sources = nets({"192.168.7.0/24", "fd00::/8"});
    CHECK(admitted(config, elsewhere));
    CHECK(admitted(config, local6));
}

TEST_CASE("the local network's addresses are kept out by any other device") {
    Config config = filtered({allow(22, 22, from(true, true, {"0.0.0.0/0", "::/0"}))});
    config.lan.networks = nets({"10.0.0.0/8", "2001:db8::/32"});
    Facts facts = machine();
    facts.interfaces.push_back(interface("wg0", {"10.9.0.1/24", "2001:db8:9::1/64"}));
    const auto warning = [&](std::string_view client, std::string_view server) {
        return session_warning(config, facts, session(client, server)).value_or("");
    };
    for (const auto& [client, server] :
         {std::pair("10.9.0.2", "10.9.0.1"), std::pair("2001:db8:9::2", "2001:db8:9::1"),
          std::pair("10.9.0.2", "192.168.0.1"), // through the tunnel to our inner address
          std::pair("10.1.0.2", "10.9.0.1"), std::pair("10.1.0.2", "192.168.1.2")}) {
        INFO(client << " " << server);
        CHECK(warning(client, server).find("must not come from elsewhere") != std::string::npos);
    }
    CHECK(warning("10.1.0.2", "192.168.0.1").empty());
    config.lan.interfaces.emplace_back("wg0");
    CHECK(warning("10.9.0.2", "10.9.0.1").empty());
}

TEST_CASE("what is next door by an address of link scope only is a spoofed source") {
    const Config config = filtered({allow(22, 22, from(true, true))});
    Facts facts = machine();
    facts.interfaces[2].addresses.push_back(address("169.254.1.2/16"));
    facts.interfaces[2].addresses.push_back(address("10.5.0.2/24"));
    const auto warned = [&](std::string_view client, std::string_view server) {
        return session_warning(config, facts, session(client, server)).has_value();
    };
    CHECK(warned("169.254.7.7", "169.254.1.2"));
    CHECK(!warned("10.5.0.7", "10.5.0.2"));
    facts.interfaces[2].addresses.back().link_scope = true;
    CHECK(warned("10.5.0.7", "10.5.0.2"));
}

TEST_CASE("what the firewall calls spoofed is what a session is warned of") {
    const Config config = filtered({allow(22, 22, from(true, true))});
    for (const Prefix& network : spoofed_sources()) {
        INFO(network.str());
        const Session one{network.address(), ip("192.168.1.2"), 22};
        const SessionWay way{.side = Side::uplink, .device = "eth1", .uplink = "velox1"};
        CHECK(session_obstacle(config, {}, way, one));
    }
    CHECK(!admitted(config, {"250.0.0.1", "192.168.1.2"}));
    CHECK(!admitted(config, {"::1", "2001:db8:1::2"}));
}

TEST_CASE("a port forward takes the port away from the gateway") {
    Config config = filtered({allow(22, 22, from(true, true))});
    ForwardConfig forward;
    forward.port = {20, 25};
    forward.to = ip("192.168.0.10");
    config.forwards = {forward};
    CHECK(obstacle(config, outside4).find("forward[0] leads there to 192.168.0.10") == 0);
    CHECK(admitted(config, outside6)); // the other family
    CHECK(admitted(config, lan4));
    config.forwards[0].uplinks = {"velox2"};
    CHECK(admitted(config, outside4));
    config.forwards[0].uplinks = {"velox1"};
    CHECK(!admitted(config, outside4));
    config.forwards[0].from = nets({"198.51.100.0/24"});
    CHECK(admitted(config, outside4));
    config.forwards[0].from.clear();
    config.forwards[0].protocols = {Transport::udp};
    CHECK(admitted(config, outside4));
}

TEST_CASE("hosts of the local network are led away from the uplinks' addresses, too") {
    Config config = filtered({allow(22, 22, from(true, true))});
    ForwardConfig forward;
    forward.port = {22, 22};
    forward.to = ip("192.168.0.10");
    config.forwards = {forward};
    const Client to_uplink{"192.168.0.77", "192.168.1.2"};
    CHECK(obstacle(config, to_uplink) ==
          "forward[0] leads there to 192.168.0.10; [[forward]] port, or hairpin = false");
    CHECK(admitted(config, lan4));
    config.forwards[0].from = nets({"198.51.100.0/24"}); // of those outside
    CHECK(!admitted(config, to_uplink));
    config.forwards[0].uplinks = {"velox2"};
    CHECK(admitted(config, to_uplink));
    CHECK(!admitted(config, {"192.168.0.77", "192.168.2.2"}));
    config.forwards[0].hairpin = false;
    CHECK(admitted(config, {"192.168.0.77", "192.168.2.2"}));
}

TEST_CASE("a port forward needs no firewall to lead a session away") {
    Config config = two_links();
    ForwardConfig forward;
    forward.port = {22, 22};
    forward.to = ip("192.168.0.10");
    config.forwards = {forward};
    CHECK(obstacle(config, outside4).find("forward[0] leads there") == 0);
    CHECK(!admitted(config, elsewhere));
    CHECK(admitted(config, outside6));
    CHECK(admitted(config, management));
    const auto line = session_warning(config, machine(), session("203.0.113.7", "192.168.1.2"));
    REQUIRE(line);
    CHECK(line->find("a port forward would not let you in again") == 0);
}

TEST_CASE("the warning names client, port, way, key and the way out") {
    const auto line =
        session_warning(filtered({}), machine(), session("203.0.113.7", "192.168.1.2"));
    REQUIRE(line);
    for (const char* part :
         {"203.0.113.7", "22/tcp", "velox1", "[[firewall.allow]]", "--confirm"}) {
        INFO(*line);
        CHECK(line->find(part) != std::string::npos);
    }
    CHECK(line->find('\n') == std::string::npos);
    CHECK(!session_warning(two_links(), machine(), session("203.0.113.7", "192.168.1.2")));
}
