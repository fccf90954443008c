// SPDX-License-Identifier: GPL-2.0-or-later
// [[forward]] as it is read.
#include "config_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// Lines of [[forward]] from line 7 on.
ConfigCase forward(const std::string& lines, std::vector<std::string> errors) {
    return {least + "[[forward]]\n" + lines, std::move(errors)};
}

ForwardConfig read(const std::string& lines) {
    return good_config(least + "[[forward]]\n" + lines).forwards.at(0);
}

const std::string port_rule =
    "port: expected a port from 1 to 65535 or a range of them as \"8000-8010\", ";
const std::string target_rule = "to: expected the address of a host of the LAN, as \"ADDRESS\", "
                                "\"ADDRESS:PORT\" or \"[ADDRESS]:PORT\" for IPv6, ";
const std::string name_rule =
    "name: expected 1 to 60 bytes without quotes and control characters, ";
const std::string protocol_rule = "protocol: expected \"tcp\" or \"udp\", ";

// Lines 7 and 8.
const std::string needed = "port = 80\nto = \"192.168.0.10\"\n";

} // namespace

TEST_CASE("config forward: what is omitted has its documented default") {
    CHECK(good_config(least).forwards.empty());
    const ForwardConfig forward = read(needed);
    CHECK(forward.name.empty());
    CHECK(forward.protocols == std::vector{Transport::tcp});
    CHECK(forward.port == PortRange{80, 80});
    CHECK(forward.to == IpAddress::parse("192.168.0.10"));
    CHECK_FALSE(forward.to_port);
    CHECK(forward.uplinks.empty());
    CHECK(forward.from.empty());
    CHECK(forward.hairpin);
}

TEST_CASE("config forward: complete sections are read whole, in order") {
    const Config config = good_config(least + R"([[forward]]
name = "câmera"
protocol = ["udp", "tcp"]
port = "8000-8010"
to = "192.168.0.10:80"
uplinks = ["velox1"]
from = ["198.51.100.0/24", "203.0.113.0/24"]
hairpin = false
[[forward]]
protocol = "udp"
port = 51820
to = "[2001:db8::10]:1194"
)");
    REQUIRE(config.forwards.size() == 2);
    const ForwardConfig& first = config.forwards[0];
    CHECK(first.name == "câmera");
    CHECK(first.protocols == std::vector{Transport::tcp, Transport::udp});
    CHECK(first.port == PortRange{8000, 8010});
    CHECK(first.to == IpAddress::parse("192.168.0.10"));
    CHECK(first.to_port == 80);
    CHECK(first.uplinks == std::vector<std::string>{"velox1"});
    CHECK(first.from == std::vector{Prefix::parse("198.51.100.0/24").value(),
                                    Prefix::parse("203.0.113.0/24").value()});
    CHECK_FALSE(first.hairpin);
    CHECK(config.forwards[1].protocols == std::vector{Transport::udp});
    CHECK(config.forwards[1].to == IpAddress::parse("2001:db8::10"));
    CHECK(config.forwards[1].to_port == 1194);
    CHECK(config.positions.at("forward[0].uplinks[0]") == Position{11, 12});
    CHECK(config.positions.at("forward[1].to") == Position{17, 6});
}

TEST_CASE("config forward: ports are numbers or strings") {
    const auto port = [](const std::string& value) {
        return read("to = \"192.168.0.10\"\nport = " + value + "\n").port;
    };
    CHECK(port("1") == PortRange{1, 1});
    CHECK(port("65535") == PortRange{65535, 65535});
    CHECK(port("\"8080\"") == PortRange{8080, 8080});
    CHECK(port("\"8000-8010\"") == PortRange{8000, 8010});
    for (const std::string value : {"0", "-1", "65536", "\"\"", "\"0-5\"", "\"8010-8000\"",
                                    "\"80/tcp\"", "\"http\"", "true"}) {
        CHECK(parse_errors(least + "[[forward]]\nto = \"192.168.0.10\"\nport = " + value + "\n") ==
              std::vector{"8:8: " + port_rule + "found " + value});
    }
    check_cases({forward("to = \"192.168.0.10\"\nport = [80]\n",
                         {"8:8: " + port_rule + "found an array"})});
}

TEST_CASE("config forward: targets are addresses, with a port or without") {
    const auto target = [](const std::string& text) {
        const auto forward = read("port = 80\nto = \"" + text + "\"\n");
        return std::pair(forward.to.value().str(), forward.to_port);
    };
    CHECK(target("10.0.0.1") == std::pair(std::string("10.0.0.1"), std::optional<uint16_t>()));
    CHECK(target("10.0.0.1:65535") ==
          std::pair(std::string("10.0.0.1"), std::optional<uint16_t>(65535)));
    CHECK(target("2001:db8::1") ==
          std::pair(std::string("2001:db8::1"), std::optional<uint16_t>()));
    CHECK(target("[fd00::1]:1") == std::pair(std::string("fd00::1"), std::optional<uint16_t>(1)));
    for (const std::string text : {"",
                                   "camera",
                                   "camera:80",
                                   "10.0.0.1:",
                                   "10.0.0.1:0",
                                   "10.0.0.1:65536",
                                   "10.0.0.1:80-90",
                                   "[10.0.0.1]:80",
                                   "[2001:db8::1]",
                                   "2001:db8::1]:80",
                                   "[2001:db8::1",
                                   "10.0.0.0/24",
                                   "127.0.0.1:80",
                                   "::1",
                                   "0.0.0.0:80",
                                   "255.255.255.255",
                                   "224.0.0.1",
                                   "ff02::1",
                                   "fe80::1",
                                   "169.254.0.1"}) {
        CHECK(parse_errors(least + "[[forward]]\nport = 80\nto = \"" + text + "\"\n") ==
              std::vector{"8:6: " + target_rule + "found \"" + text + "\""});
    }
}

TEST_CASE("config forward: mistakes in the other keys") {
    check_cases({
        forward("", {"6:1: " + port_rule.substr(0, 4) + " is missing" +
                         port_rule.substr(4, port_rule.size() - 6),
                     "6:1: " + target_rule.substr(0, 2) + " is missing" +
                         target_rule.substr(2, target_rule.size() - 4)}),
        forward(needed + "name = \"\"\n", {"9:8: " + name_rule + "found \"\""}),
        forward(needed + "name = \"a\\\"b\"\n", {"9:8: " + name_rule + "found \"a\\\"b\""}),
        forward(needed + "name = \"" + std::string(61, 'n') + "\"\n",
                {"9:8: " + name_rule + "found \"" + std::string(61, 'n') + "\""}),
        forward(needed + "name = \"" + std::string(60, 'n') + "\"\n", {}),
        forward(needed + "protocol = \"sctp\"\n", {"9:12: " + protocol_rule + "found \"sctp\""}),
        forward(needed + "protocol = \"gre\"\n", {"9:12: " + protocol_rule + "found \"gre\""}),
        forward(needed + "protocol = 6\n", {"9:12: " + protocol_rule + "found 6"}),
        forward(needed + "protocol = []\n",
                {"9:12: protocol: expected an array of one or more, each \"tcp\" or \"udp\", found "
                 "an empty array"}),
        forward(needed + "protocol = [\"tcp\", \"TCP\", \"tcp\"]\n",
                {"9:20: " + protocol_rule + "found \"TCP\"",
                 "9:27: protocol: expected each only once, found \"tcp\" beside \"tcp\""}),
        forward(needed + "uplinks = \"velox1\"\n",
                {"9:11: uplinks: expected an array of one or more, each a string, found "
                 "\"velox1\""}),
        forward(needed + "uplinks = [\"velox1\", 2, \"velox1\"]\n",
                {"9:22: uplinks: expected a string, found 2",
                 "9:25: uplinks: expected each only once, found \"velox1\" beside \"velox1\""}),
        forward(needed + "from = [\"uplinks\", \"192.0.2.0/24\", \"192.0.2.128/25\"]\n",
                {"9:9: from: expected a network as \"ADDRESS/LENGTH\", found \"uplinks\"",
                 "9:36: from: expected each only once, found \"192.0.2.128/25\" beside "
                 "\"192.0.2.0/24\""}),
        forward(needed + "hairpin = \"yes\"\n",
                {"9:11: hairpin: expected true or false, found \"yes\""}),
        forward(needed + "form = []\n", {"9:1: unknown key \"form\", did you mean from?"}),
        {least + "[forward]\n", {"6:1: forward: expected [[forward]] sections, found a table"}},
    });
}
