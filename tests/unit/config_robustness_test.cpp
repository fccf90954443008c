// SPDX-License-Identifier: GPL-2.0-or-later
// Whatever the bytes, the answer is a configuration or errors that have a place in the file.
#include <algorithm>
#include <random>

#include "config_cases.h"
#include "core/config_check.h"
#include "core/suggest.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const std::string good = least + R"(gateway = "192.168.1.1"
gateway6 = "fe80::1"
table = 10
weight = 3
bring_up = ["/sbin/ip", "link"]
command_timeout = "5s"
mss = 1452
[uplink.health]
probe = "http"
targets = ["http://[2001:db8::1]:81/a", "http://192.0.2.1"]
max_latency = "150ms"
[[uplink]]
name = "velox2"
interface = "eth2"
tier = 2
[balance]
table = 30
table_name = "velox"
hash = "source"
default_uplink = "velox1"
mark_mask = 0x00ff0000
[health]
probe = "dns"
targets = ["192.0.2.1", "[2001:db8::1]:53", "gateway"]
query = "example.org"
quorum = 2
passive = false
[failover]
all_down = "unreachable"
reset = true
[hooks]
on_change = ["/bin/x"]
[firewall]
ping = ["lan", "uplinks"]
dns_servers = ["192.0.2.53", "2001:db8::53"]
expected_sources = ["10.0.0.0/8"]
log = ["fragments", "input"]
log_prefix = "gate"
[[firewall.allow]]
service = ["ssh", "8443/tcp", "5000-5010/udp"]
from = ["lan", "203.0.113.0/24"]
rate = "10/minute"
[[forward]]
name = "camera"
protocol = ["tcp", "udp"]
port = "8000-8010"
to = "192.168.0.10:80"
uplinks = ["velox1"]
from = ["198.51.100.0/24"]
hairpin = false
[[forward]]
port = 443
to = "[2001:db8::10]:8443"
[helpers]
ftp = [21, 2121]
sip = true
)";

// Returns whether the answer was of the promised form.
bool sound(const std::string& text) {
    const auto config = parse_config(text, "f.toml");
    if (config) {
        (void)check_config(*config, "f.toml");
        return true;
    }
    return !config.error().empty() && std::ranges::all_of(config.error(), [](const auto& error) {
        return error.position.line > 0 && error.position.column > 0 && !error.message.empty();
    });
}

} // namespace

TEST_CASE("config: a file cut off anywhere is answered") {
    for (size_t length = 0; length <= good.size(); ++length) {
        INFO(length);
        CHECK(sound(good.substr(0, length)));
    }
}

TEST_CASE("config: a file with bytes changed is answered") {
    std::mt19937 random(20240229); // always the same ones
    const auto below = [&](size_t limit) { return random() % limit; };
    const std::string likely = "[]{}\"'=,.#\n\r\t\\\0x-1e"; // what TOML makes something of
    for (int round = 0; round < 5000; ++round) {
        std::string text = good;
        for (size_t changes = 1 + below(4); changes > 0; --changes) {
            const char byte =
                below(2) == 0 ? likely[below(likely.size())] : static_cast<char>(below(256));
            const size_t at = below(text.size());
            below(3) == 0 ? text.insert(at, 1, byte) : text.replace(at, 1, 1, byte);
        }
        if (!sound(text)) {
            FAIL_CHECK("no sound answer to: " << text);
        }
    }
}

TEST_CASE("config: nesting has an end") {
    CHECK(sound(std::string(100000, '[')));
    CHECK(sound("a = " + std::string(100000, '[')));
    CHECK(sound("a = " + std::string(50000, '{')));
}

TEST_CASE("suggestions are near or none") {
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("same", "same") == 0);
    CHECK(edit_distance("tabel", "table") == 1);
    const std::vector<std::string> known{"gateway", "table", "gateway6"};
    CHECK(nearest_word("gatewy", known) == "gateway");
    CHECK(nearest_word("tabel", known) == "table");
    CHECK(nearest_word("tablet", known) == "table");
    CHECK_FALSE(nearest_word("speed", known));
    CHECK_FALSE(nearest_word("", known));
    CHECK_FALSE(nearest_word(std::string(1000000, 'g'), known));
    CHECK_FALSE(nearest_word("gateway", {}));
}
