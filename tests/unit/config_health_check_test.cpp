// SPDX-License-Identifier: GPL-2.0-or-later
// What health sections say against themselves and the rest of the file.
#include "config_cases.h"
#include "core/config_check.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const std::string second = "[[uplink]]\nname = \"velox2\"\ninterface = \"eth2\"\n";

std::vector<std::string> check_errors(const std::string& text) {
    return lines_of(check_config(good_config(text), "f.toml"));
}

void check_found(const std::vector<ConfigCase>& cases) {
    for (const ConfigCase& item : cases) {
        INFO(item.text);
        CHECK(check_errors(item.text) == item.errors);
    }
}

const std::string missing =
    "targets is missing: expected some, because only the probes \"icmp\" and \"none\" need none";
const std::string quorum = "quorum: expected at most ";

} // namespace

TEST_CASE("config health check: a probe without targets is an error where an uplink uses it") {
    check_found({
        {least + "[health]\nprobe = \"tcp\"\n", {"7:9: " + missing}},
        {least + second + "[health]\nprobe = \"http\"\n", {"10:9: " + missing}},
        {least + "[uplink.health]\nprobe = \"dns\"\n" + second, {"7:9: " + missing}},
        {least + "[uplink.health]\nprobe = \"dns\"\n[health]\nprobe = \"tcp\"\n",
         {"7:9: " + missing}},
        {least + "[uplink.health]\ntargets = [\"192.0.2.1:80\"]\n[health]\nprobe = \"tcp\"\n", {}},
        {least + "[health]\nprobe = \"none\"\n", {}},
        {least + "[health]\nprobe = \"icmp\"\n", {}},
    });
}

TEST_CASE("config health check: a target is named once, however it is spelled") {
    check_found({
        {least + "[health]\ntargets = [\"192.0.2.1\", \"gateway\", \"192.0.2.1\", \"gateway\"]\n",
         {"7:36: targets: expected each only once, found target number 1 again",
          "7:49: targets: expected each only once, found target number 2 again"}},
        {least + "[uplink.health]\nprobe = \"dns\"\ntargets = [\"2001:db8::1\", "
                 "\"[2001:DB8::1]:53\"]\n",
         {"8:27: targets: expected each only once, found target number 1 again"}},
        {least + "[uplink.health]\nprobe = \"http\"\n"
                 "targets = [\"http://192.0.2.1\", \"http://192.0.2.1/a\", "
                 "\"http://192.0.2.1:81\"]\n",
         {}},
    });
}

TEST_CASE("config health check: a target in the LAN would answer without the link") {
    check_found({
        {"[lan]\ninterfaces = [\"eth0\"]\nnetworks = [\"192.0.2.0/24\", \"2001:db8::/64\"]\n" +
             least.substr(28) + second +
             "[uplink.health]\ntargets = [\"198.51.100.1\", \"2001:db8::1\"]\n"
             "[health]\ntargets = [\"192.0.2.9\", \"gateway\"]\n",
         {"11:28: targets: expected an address outside of the LAN, found 2001:db8::1, which is in "
          "2001:db8::/64",
          "13:12: targets: expected an address outside of the LAN, found 192.0.2.9, which is in "
          "192.0.2.0/24"}},
    });
}

TEST_CASE("config health check: a quorum can be reached by the targets of each family") {
    check_found({
        {least + "[health]\nquorum = 2\n",
         {"7:10: " + quorum + "1, the number of targets for IPv4, found 2",
          "7:10: " + quorum + "1, the number of targets for IPv6, found 2"}},
        {least + "[health]\nquorum = 2\ntargets = [\"192.0.2.1\", \"2001:db8::1\", "
                 "\"2001:db8::2\"]\n",
         {"7:10: " + quorum + "1, the number of targets for IPv4, found 2"}},
        {least + "[uplink.health]\ntargets = [\"192.0.2.1\"]\n[health]\nquorum = 2\n"
                 "targets = [\"192.0.2.1\", \"192.0.2.2\"]\n",
         {"7:11: " + quorum + "1, the number of targets for IPv4, found 2"}},
        {least + "[uplink.health]\nquorum = 3\n[health]\ntargets = [\"192.0.2.1\", "
                 "\"192.0.2.2\"]\n",
         {"7:10: " + quorum + "2, the number of targets for IPv4, found 3"}},
        {least + "[health]\nquorum = 2\ntargets = [\"192.0.2.1\", \"192.0.2.2\"]\n", {}},
        {least + "[health]\nquorum = 2\ntargets = [\"192.0.2.1\", \"gateway\"]\n", {}},
        {least + "[health]\nquorum = 2\nprobe = \"none\"\n", {}},
    });
}

TEST_CASE("config health check: without networks, the LAN is what its interfaces are in") {
    Facts facts;
    Interface lan;
    lan.name = "eth0";
    lan.addresses = {{IpAddress::parse("192.0.2.1").value(), 24, std::nullopt, false}};
    Interface wan;
    wan.name = "eth1";
    wan.addresses = {{IpAddress::parse("198.51.100.2").value(), 24, std::nullopt, false}};
    facts.interfaces = {lan, wan};
    const Config config = good_config(least + "gateway = \"198.51.100.1\"\n[health]\n"
                                              "targets = [\"192.0.2.9\", \"203.0.113.1\"]\n");
    CHECK(lines_of(check_system(config, facts, "f.toml")) ==
          std::vector<std::string>{"8:12: targets: expected an address outside of the LAN, found "
                                   "192.0.2.9, which is in 192.0.2.0/24"});
}
