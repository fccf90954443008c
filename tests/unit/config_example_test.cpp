// SPDX-License-Identifier: GPL-2.0-or-later
// What the documentation shows, the program takes.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

#include "config_cases.h"
#include "core/config_check.h"
#include "core/services.h"
#include "core/tracking_helpers.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const std::string docs = LINKBAL_DOCS;

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file.is_open());
    return {std::istreambuf_iterator<char>(file), {}};
}

// The literal displays of a manual page.
std::vector<std::string> displays(const std::string& page) {
    std::vector<std::string> found;
    const std::string begin = ".Bd -literal -offset indent\n";
    for (size_t at = page.find(begin); at != std::string::npos; at = page.find(begin, at)) {
        at += begin.size();
        found.push_back(page.substr(at, page.find(".Ed\n", at) - at));
    }
    return found;
}

} // namespace

TEST_CASE("config example: the two links of the how-to") {
    const auto config = load_config(docs + "/examples/linkbal.toml");
    INFO((config ? "" : config.error().front().str()));
    REQUIRE(config);
    CHECK(config->lan.interfaces == std::vector<std::string>{"eth0"});
    REQUIRE(config->uplinks.size() == 2);
    CHECK(config->uplinks[0].name == "velox1");
    CHECK(config->uplinks[0].table == 10U);
    CHECK(config->uplinks[1].gateway == IpAddress::parse("192.168.2.1"));
    CHECK(config->balance.table == 30U);
    CHECK(config->balance.table_name == "velox");
}

// Keys and sections that are comments ("# port = 443", "# [firewall]") are none any more.
std::string uncommented(const std::string& text) {
    std::string all;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const std::string_view key(line.begin() + std::min<ptrdiff_t>(2, std::ssize(line)),
                                   line.end());
        const size_t end = key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_");
        const bool is_value =
            end != 0 && end != std::string_view::npos && key.substr(end).starts_with(" = ");
        const bool strip = line.starts_with("# ") && (key.starts_with('[') || is_value);
        all += strip ? std::string(key) : line;
        all += '\n';
    }
    return all;
}

TEST_CASE("config example: what is commented out is right too") {
    const Config config = good_config(uncommented(contents(docs + "/examples/linkbal.toml")));
    CHECK(lines_of(check_config(config, "f.toml")).empty());
    REQUIRE(config.firewall);
    CHECK(config.firewall->allow.size() == 1);
    CHECK(config.forwards.size() == 1);
    CHECK(config.helpers.size() == 3);
    CHECK(config.balance.cache);
    CHECK_FALSE(config.hooks.on_change.empty());
}

TEST_CASE("config example: two links and how they are judged") {
    const auto config = parse_config(R"([lan]
interfaces = ["eth0"]
networks = ["192.168.0.0/24"]        # omitted: the subnets of the interfaces

[[uplink]]
name = "velox1"                      # also the name of its routing table
interface = "eth1"
gateway = "192.168.1.1"              # omitted: followed from the interface
gateway6 = "fe80::1"                 # optional
table = 10                           # omitted: chosen
weight = 1                           # 1 to 1000
tier = 1                             # lower is used first

[[uplink]]
name = "velox2"
interface = "eth2"
gateway = "192.168.2.1"
table = 11
weight = 1

[balance]
table = 30                           # the multipath fallback
table_name = "velox"
hash = "connection"
datapath = "auto"
default_uplink = "velox1"            # the preferred default route of the main table
mark_mask = 0x00ff0000

[health]                             # defaults for every uplink; [uplink.health] overrides
probe = "icmp"                       # icmp | tcp | dns | http | none
targets = ["1.1.1.1", "9.9.9.9"]
interval = "500ms"
timeout = "1s"
down_after = 3
up_after = 5
)",
                                     "f.toml");
    REQUIRE(config);
    CHECK(check_config(*config, "f.toml").empty());
    CHECK(config->uplinks.at(1).health.targets.size() == 2);
}

TEST_CASE("config example: those of the manual page") {
    const auto examples = displays(contents(docs + "/linkbal.toml.5"));
    REQUIRE(examples.size() == 5);
    for (const auto& text : examples) {
        const Config config = good_config(text);
        CHECK(config.uplinks.size() >= 2);
        CHECK(lines_of(check_config(config, "f.toml")).empty());
    }
}

TEST_CASE("config example: the one of the README") {
    const auto readme = contents(docs + "/../README.md");
    const std::string begin = "```toml\n";
    const size_t at = readme.find(begin) + begin.size();
    REQUIRE(at > begin.size());
    CHECK(good_config(readme.substr(at, readme.find("```", at) - at)).uplinks.size() == 2);
}

TEST_CASE("config example: the manual page has every key") {
    const auto page = contents(docs + "/linkbal.toml.5");
    for (const std::string key : {"interfaces",
                                  "networks",
                                  "name",
                                  "interface",
                                  "gateway",
                                  "gateway6",
                                  "table",
                                  "weight",
                                  "tier",
                                  "table_name",
                                  "hash",
                                  "datapath",
                                  "attach",
                                  "default_uplink",
                                  "mark_mask",
                                  "rule_priority",
                                  "bring_up",
                                  "log_in",
                                  "test",
                                  "command_timeout",
                                  "probe",
                                  "targets",
                                  "interval",
                                  "timeout",
                                  "down_after",
                                  "up_after",
                                  "quorum",
                                  "window",
                                  "max_loss",
                                  "max_latency",
                                  "max_jitter",
                                  "query",
                                  "status",
                                  "passive",
                                  "all_down",
                                  "on_return",
                                  "reset",
                                  "on_change",
                                  "cache",
                                  "mss",
                                  "ping",
                                  "dns_servers",
                                  "expected_sources",
                                  "log",
                                  "log_prefix",
                                  "service",
                                  "from",
                                  "rate",
                                  "protocol",
                                  "port",
                                  "to",
                                  "uplinks",
                                  "hairpin"}) {
        INFO(key);
        CHECK(page.find("\n.It Ic " + key + " No = ") != std::string::npos);
    }
}

TEST_CASE("config example: the manual page has every service and helper") {
    const auto page = contents(docs + "/linkbal.toml.5");
    for (const Service& service : known_services()) {
        std::vector<std::string> ports;
        std::ranges::transform(service.ports, std::back_inserter(ports), service_text);
        const auto entry = fmt::format("\n.It Cm {}\n{}\n", service.name, fmt::join(ports, ", "));
        INFO(entry);
        CHECK(page.find(entry) != std::string::npos);
    }
    for (const IpProtocol& protocol : known_protocols) {
        INFO(protocol.name);
        CHECK(page.find(fmt::format("\n.It Cm {}\nIP protocol {}\n", protocol.name,
                                    protocol.number)) != std::string::npos);
    }
    for (const TrackingHelper& helper : tracking_helpers) {
        INFO(helper.key);
        const size_t entry = page.find(fmt::format("\n.It Ic {} No = ", helper.key));
        REQUIRE(entry != std::string::npos);
        const size_t text = page.find('\n', entry + 1) + 1;
        const auto port = fmt::format("{}/{}", helper.port, transport_name(helper.transport));
        CHECK(page.substr(text, page.find('\n', text) - text).find(port) != std::string::npos);
    }
}

TEST_CASE("config example: the manual page has every key of [dhcp]") {
    const auto page = contents(docs + "/linkbal.toml.5");
    for (const std::string key : {"server", "lease_time", "max_lease_time", "domain", "dns_servers",
                                  "file", "first", "last", "router", "mac", "address", "mode"}) {
        INFO(key);
        CHECK(page.find("\n.It Ic " + key + " No = ") != std::string::npos);
    }
}

TEST_CASE("config: a file that cannot be read has no position") {
    const auto absent = load_config(docs + "/absent.toml");
    REQUIRE_FALSE(absent);
    CHECK(lines_of(absent.error()) ==
          std::vector<std::string>{" cannot read the configuration: No such file or directory"});
    const auto directory = load_config(docs);
    REQUIRE_FALSE(directory);
    CHECK(lines_of(directory.error()) ==
          std::vector<std::string>{" cannot read the configuration: Is a directory"});
}
