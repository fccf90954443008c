// SPDX-License-Identifier: GPL-2.0-or-later
// What [firewall] and [[forward]] say against themselves, the rest of the file and this machine.
#include "config_cases.h"
#include "core/config_check.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const std::string uplinks = "[[uplink]]\nname = \"velox1\"\ninterface = \"eth1\"\n"
                            "gateway = \"192.168.1.1\"\n"
                            "[[uplink]]\nname = \"velox2\"\ninterface = \"eth2\"\n"
                            "gateway = \"192.168.2.1\"\n";
// Lines 1 to 10, and 1 to 11 with networks.
const std::string plain = "[lan]\ninterfaces = [\"eth0\"]\n" + uplinks;
const std::string with_networks = "[lan]\ninterfaces = [\"eth0\"]\n"
                                  "networks = [\"192.168.0.0/24\", \"2001:db8::/64\"]\n" +
                                  uplinks;

std::string forward(const std::string& lines) { return "[[forward]]\n" + lines; }
std::string port_80(const std::string& lines = "") {
    return forward("port = 80\nto = \"192.168.0.10\"\n" + lines);
}
std::string allow(const std::string& service, const std::string& from) {
    return "[[firewall.allow]]\nservice = [" + service + "]\nfrom = [" + from + "]\n";
}

void check_found(const std::vector<ConfigCase>& cases) {
    for (const ConfigCase& item : cases) {
        INFO(item.text);
        CHECK(lines_of(check_config(good_config(item.text), "f.toml")) == item.errors);
    }
}

InterfaceAddress address(std::string_view text, unsigned length) {
    return {IpAddress::parse(text).value(), length, std::nullopt, false};
}

// The how-to's gateway.
Facts machine() {
    Facts facts;
    for (const auto name : {"eth0", "eth1", "eth2"}) {
        Interface interface;
        interface.name = name;
        interface.up = true;
        facts.interfaces.push_back(interface);
    }
    facts.interfaces[0].addresses = {address("192.168.0.1", 24)};
    facts.interfaces[1].addresses = {address("192.168.1.2", 24)};
    facts.interfaces[2].addresses = {address("192.168.2.2", 24)};
    return facts;
}

std::vector<std::string> here(const std::string& text, const Facts& facts, bool watched = false) {
    return lines_of(check_system(good_config(text), facts, "f.toml", watched));
}

const std::string lan4 = "to: expected an address in the LAN (192.168.0.0/24), found ";
const std::string port_twice = "port: expected ports that no other forward takes, found ";
const std::string own_port = "port: expected ports that are not the gateway's own, found ";

} // namespace

TEST_CASE("config firewall check: a forward leads to a host of the LAN") {
    check_found({
        {with_networks + port_80(), {}},
        {with_networks + forward("port = 80\nto = \"192.168.1.10:8080\"\n"),
         {"14:6: " + lan4 + "192.168.1.10"}},
        {with_networks + forward("to = \"2001:db8:1::1\"\nport = 80\n"),
         {"13:6: to: expected an address in the LAN (2001:db8::/64), found 2001:db8:1::1"}},
        {plain + forward("port = 80\nto = \"10.9.9.9\"\n"), {}}, // for check_system()
    });
}

TEST_CASE("config firewall check: without networks, the LAN is what its interfaces are in") {
    const auto text = plain + forward("port = 80\nto = \"10.9.9.9\"\n");
    CHECK(here(plain + port_80(), machine()).empty());
    CHECK(here(text, machine()) == std::vector{"13:6: " + lan4 + "10.9.9.9"});
    CHECK(here(text, machine(), true).empty()); // the LAN's address may come later
    CHECK(here(plain + forward("port = 80\nto = \"2001:db8::10\"\n"), machine()) ==
          std::vector<std::string>{
              "13:6: to: expected an address in the LAN, which has no IPv6, found 2001:db8::10"});
    CHECK(here(plain + forward("port = 80\nto = \"192.168.0.1\"\n"), machine()) ==
          std::vector<std::string>{
              "13:6: to: expected a host of the LAN, found 192.168.0.1, which eth0 itself has"});
}

TEST_CASE("config firewall check: a family without written networks is judged by the interfaces") {
    const auto text = "[lan]\ninterfaces = [\"eth0\"]\nnetworks = [\"192.168.0.0/16\"]\n" +
                      uplinks + forward("port = 80\nto = \"2001:db8:1::1\"\n");
    Facts facts = machine();
    facts.interfaces[0].addresses.push_back(address("2001:db8::1", 64));
    facts.interfaces[1].addresses = {address("198.51.100.2", 24)};
    facts.interfaces[2].addresses = {address("203.0.113.2", 24)};
    check_found({{text,
                  {"7:11: gateway: expected an address outside of the LAN, found "
                   "192.168.1.1, which is in 192.168.0.0/16",
                   "11:11: gateway: expected an address outside of the LAN, found "
                   "192.168.2.1, which is in 192.168.0.0/16"}}});
    const auto found = here(text, facts);
    CHECK(std::ranges::find(found, "14:6: to: expected an address in the LAN (2001:db8::/64), "
                                   "found 2001:db8:1::1") != found.end());
}

TEST_CASE("config firewall check: the uplinks of a forward are known") {
    check_found({
        {plain + port_80("uplinks = [\"velox2\", \"velox3\", \"\"]\n"),
         {"14:22: uplinks: expected names of uplinks (velox1, velox2), found \"velox3\"",
          "14:32: uplinks: expected names of uplinks (velox1, velox2), found \"\""}},
    });
}

TEST_CASE("config firewall check: a range has room at its target") {
    check_found({
        {plain + forward("port = \"8000-8010\"\nto = \"192.168.0.10:65525\"\n"), {}},
        {plain + forward("port = \"8000-8010\"\nto = \"192.168.0.10:65526\"\n"),
         {"13:6: to: expected 65525 as the highest first port, because 11 ports are forwarded, "
          "found 65526"}},
        {plain + forward("port = \"65000-65535\"\nto = \"192.168.0.10\"\n"), {}},
    });
}

TEST_CASE("config firewall check: sources are of the target's family") {
    check_found({
        {plain + port_80("from = [\"198.51.100.0/24\", \"2001:db8::/32\"]\n"),
         {"14:28: from: expected networks of IPv4, because the forward is to 192.168.0.10, found "
          "2001:db8::/32"}},
        {plain + forward("port = 80\nto = \"2001:db8::10\"\nfrom = [\"192.0.2.0/24\"]\n"),
         {"14:9: from: expected networks of IPv6, because the forward is to 2001:db8::10, found "
          "192.0.2.0/24"}},
    });
}

TEST_CASE("config firewall check: a port of an uplink is forwarded once") {
    const auto second = [](const std::string& lines) { // lines from 14 on
        return plain + port_80() + forward(lines + "to = \"192.168.0.11\"\n");
    };
    check_found({
        {second("port = 80\n"),
         {"15:8: " + port_twice + "80/tcp, and [[forward]] number 1 takes 80/tcp"}},
        {second("port = \"70-90\"\nprotocol = [\"udp\", \"tcp\"]\n"),
         {"15:8: " + port_twice + "70-90/tcp, and [[forward]] number 1 takes 80/tcp"}},
        {second("port = 80\nprotocol = \"udp\"\n"), {}},
        {second("port = 81\n"), {}},
        {second("port = 80\nuplinks = [\"velox2\"]\n"),
         {"15:8: " + port_twice + "80/tcp, and [[forward]] number 1 takes 80/tcp"}},
        {plain + port_80("uplinks = [\"velox1\"]\n") + port_80("uplinks = [\"velox2\"]\n"), {}},
        {plain + port_80("uplinks = [\"velox1\"]\n") +
             port_80("uplinks = [\"velox2\", \"velox1\"]\n"),
         {"16:8: " + port_twice + "80/tcp, and [[forward]] number 1 takes 80/tcp"}},
        {plain + port_80() + forward("port = 80\nto = \"2001:db8::10\"\n"), {}},
        {plain + port_80("from = [\"192.0.2.0/24\"]\n") + port_80("from = [\"198.51.100.0/24\"]\n"),
         {}},
        {plain + port_80("from = [\"192.0.2.0/24\"]\n") + port_80("from = [\"192.0.2.128/25\"]\n"),
         {"16:8: " + port_twice + "80/tcp, and [[forward]] number 1 takes 80/tcp"}},
        {plain + port_80("from = [\"192.0.2.0/24\"]\n") + port_80(),
         {"16:8: " + port_twice + "80/tcp, and [[forward]] number 1 takes 80/tcp"}},
        {plain + port_80() + port_80() + port_80(),
         {"15:8: " + port_twice + "80/tcp, and [[forward]] number 1 takes 80/tcp",
          "18:8: " + port_twice + "80/tcp, and [[forward]] number 1 takes 80/tcp",
          "18:8: " + port_twice + "80/tcp, and [[forward]] number 2 takes 80/tcp"}},
    });
}

TEST_CASE("config firewall check: a forward takes no service that is open to the uplinks") {
    const auto said = [](const std::string& taken, const std::string& service) {
        return own_port + taken + ", and [[firewall.allow]] number 1 opens " + service +
               " to who comes by an uplink";
    };
    const auto elsewhere = port_80("from = [\"198.51.100.0/24\"]\n");
    check_found({
        {with_networks + port_80() + allow("\"http\"", "\"lan\""), {}},
        {with_networks + port_80() + allow("\"http\"", "\"lan\", \"uplinks\""),
         {"13:8: " + said("80/tcp", "80/tcp")}},
        {with_networks + port_80() + allow("\"80/udp\", \"https\"", "\"uplinks\""), {}},
        {with_networks +
             forward("port = \"50-60\"\nprotocol = [\"tcp\", \"udp\"]\n"
                     "to = \"192.168.0.10\"\n") +
             allow("\"dns\"", "\"uplinks\""),
         {"13:8: " + said("50-60/tcp", "53/tcp"), "13:8: " + said("50-60/udp", "53/udp")}},
        {with_networks + port_80() + allow("\"http\"", "\"203.0.113.0/24\""),
         {"13:8: " + said("80/tcp", "80/tcp")}},
        {with_networks + port_80() + allow("\"http\"", "\"192.168.0.64/26\""), {}}, // of the LAN
        {with_networks + port_80() + allow("\"http\"", "\"2001:db8:5::/48\""), {}},
        {with_networks + elsewhere + allow("\"http\"", "\"203.0.113.0/24\""), {}},
        {with_networks + elsewhere + allow("\"http\"", "\"198.51.100.128/25\""),
         {"13:8: " + said("80/tcp", "80/tcp")}},
        {plain + port_80() + allow("\"http\"", "\"203.0.113.0/24\""), {}}, // for check_system()
    });
    CHECK(here(plain + port_80() + allow("\"http\"", "\"203.0.113.0/24\""), machine()) ==
          std::vector{"12:8: " + said("80/tcp", "80/tcp")});
    CHECK(here(plain + port_80() + allow("\"http\"", "\"192.168.0.64/26\""), machine()).empty());
}

TEST_CASE("config firewall check: a rate limits somebody") {
    const std::string said = "rate: expected a service for others than the LAN, which has no "
                             "limit, found one for the LAN alone";
    check_found({
        {plain + allow("\"ssh\"", "\"lan\"") + "rate = \"1/second\"\n", {"14:8: " + said}},
        {plain + "[[firewall.allow]]\nservice = [\"ssh\"]\nrate = \"1/second\"\n",
         {"13:8: " + said}},
        {plain + allow("\"ssh\"", "\"lan\", \"uplinks\"") + "rate = \"1/second\"\n", {}},
        {plain + allow("\"ssh\"", "\"203.0.113.0/24\"") + "rate = \"1/second\"\n", {}},
    });
}

TEST_CASE("config firewall check: what has no ports has no rate") {
    const std::string said =
        "14:8: rate: expected services with ports, because a rate is of connections "
        "of TCP and UDP, found ";
    check_found({
        {plain + allow("\"esp\"", "\"uplinks\""), {}},
        {plain + allow("\"esp\"", "\"uplinks\"") + "rate = \"1/second\"\n", {said + "\"esp\""}},
        {plain + allow("\"ssh\", \"vrrp\"", "\"203.0.113.0/24\"") + "rate = \"1/second\"\n",
         {said + "\"vrrp\""}},
        {with_networks + port_80() + allow("\"esp\", \"gre\"", "\"uplinks\""), {}},
    });
}

TEST_CASE("config firewall check: expected sources are not the LAN's") {
    const std::string text =
        "[firewall]\nexpected_sources = [\"10.0.0.0/8\", \"192.168.0.0/16\"]\n";
    const std::string said = "expected_sources: expected networks outside of the LAN, found "
                             "192.168.0.0/16, which overlaps with 192.168.0.0/24";
    check_found({{with_networks + text, {"13:35: " + said}}, {plain + text, {}}});
    CHECK(here(plain + text, machine()) == std::vector{"12:35: " + said});
}
