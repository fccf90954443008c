// SPDX-License-Identifier: GPL-2.0-or-later
// What the documentation shows, the program takes.
#include <fstream>
#include <iterator>

#include "config_cases.h"

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

TEST_CASE("config example: those of the manual page") {
    const auto examples = displays(contents(docs + "/linkbal.toml.5"));
    REQUIRE(examples.size() == 2);
    for (const auto& text : examples) {
        CHECK(good_config(text).uplinks.size() == 2);
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
    for (const std::string key :
         {"interfaces", "networks", "name", "interface", "gateway", "gateway6", "table", "weight",
          "tier", "table_name", "hash", "datapath", "attach", "default_uplink", "mark_mask",
          "rule_priority"}) {
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
