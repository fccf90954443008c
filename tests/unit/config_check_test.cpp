// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "config_cases.h"
#include "core/config_check.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// Lines 6 to 8.
const std::string second = "[[uplink]]\nname = \"velox2\"\ninterface = \"eth2\"\n";

std::string many_uplinks(size_t count) {
    std::string text = "[lan]\ninterfaces = [\"eth0\"]\n";
    for (size_t i = 0; i < count; ++i) {
        text += fmt::format("[[uplink]]\nname = \"u{0}\"\ninterface = \"wan{0}\"\n", i);
    }
    return text;
}

} // namespace

TEST_CASE("config check: what contradicts itself in one file") {
    const std::vector<ConfigCase> cases = {
        {least + "table = 10\n" + second + "table = 10\n",
         {"10:9: table: expected one that is not taken, found 10, which uplink velox1 has"}},
        {least + "table = 10\n[balance]\ntable = 10\n",
         {"8:9: table: expected one that is not taken, found 10, which uplink velox1 has"}},
        {least + "[[uplink]]\nname = \"velox1\"\ninterface = \"eth2\"\n",
         {"7:8: name: expected one that is not taken, found velox1, which uplink number 1 has"}},
        {least + "[balance]\ntable_name = \"velox1\"\n",
         {"4:8: name: expected one that is not taken, found velox1, which the table of [balance] "
          "has"}},
        {"[lan]\ninterfaces = [\"eth0\"]\n[[uplink]]\nname = \"balance\"\ninterface = \"eth1\"\n",
         {"4:8: name: expected one that is not taken, found balance, which the table of [balance] "
          "has"}},
        {least + "[[uplink]]\nname = \"velox2\"\ninterface = \"eth1\"\n",
         {"8:13: interface: expected one that is not taken, found eth1, which uplink velox1 has"}},
        {least + "[[uplink]]\nname = \"velox2\"\ninterface = \"eth0\"\n",
         {"8:13: interface: expected one that is not taken, found eth0, which [lan] has"}},
        {"[lan]\ninterfaces = [\"eth0\", \"eth0\"]\n" + least.substr(28),
         {"2:23: interfaces: expected one that is not taken, found eth0, which [lan] has"}},
        {second + "[lan]\ninterfaces = [\"eth0\"]\n"
                  "networks = [\"192.168.0.0/16\", \"192.0.2.0/24\", \"192.168.4.0/24\"]\n",
         {"6:47: networks: expected networks that do not overlap, found 192.168.4.0/24 beside "
          "192.168.0.0/16"}},
        {second + "gateway = \"192.168.0.1\"\ngateway6 = \"2001:db8::1\"\n[lan]\n"
                  "interfaces = [\"eth0\"]\nnetworks = [\"192.168.0.0/24\", \"2001:db8::/64\"]\n",
         {"4:11: gateway: expected an address outside of the LAN, found 192.168.0.1, which is in "
          "192.168.0.0/24",
          "5:12: gateway6: expected an address outside of the LAN, found 2001:db8::1, which is in "
          "2001:db8::/64"}},
        {least + second + "[balance]\ndefault_uplink = \"velox3\"\n",
         {"10:18: default_uplink: expected the name of an uplink (velox1, velox2), found "
          "\"velox3\""}},
        {many_uplinks(4) + "[balance]\nmark_mask = 0x3\n",
         {"12:1: expected at most 3 uplinks with mark_mask 0x00000003, found 4"}},
        {many_uplinks(256),
         {"768:1: expected at most 255 uplinks with mark_mask 0x00ff0000, found 256"}},
        {many_uplinks(256) + "[balance]\nmark_mask = 0xffff\n",
         {"768:1: expected at most 255 uplinks with mark_mask 0x0000ffff, found 256"}},
    };
    for (const ConfigCase& item : cases) {
        INFO(item.text);
        CHECK(lines_of(check_config(good_config(item.text), "f.toml")) == item.errors);
    }
}

TEST_CASE("config check: good files have nothing to be said about") {
    for (const auto& text :
         {least, least + second, many_uplinks(255),
          many_uplinks(3) + "[balance]\nmark_mask = 0x3\n",
          least + second + "table = 11\n[balance]\ntable = 12\ndefault_uplink = \"velox2\"\n"}) {
        CHECK(lines_of(check_config(good_config(text), "f.toml")).empty());
    }
}

TEST_CASE("config check: a configuration without a file has its uplinks counted too") {
    CHECK(lines_of(check_config(Config{}, "f.toml")) ==
          std::vector<std::string>{
              "1:1: no [[uplink]] section: expected one for each internet link"});
}

TEST_CASE("config check: a path that is not written stands where its section does") {
    const Config config = good_config(least);
    CHECK(position_of(config, "uplink[0].name") == Position{4, 8});
    CHECK(position_of(config, "uplink[0].gateway") == Position{3, 1});
    CHECK(position_of(config, "lan.networks[2]") == Position{1, 1});
    CHECK(position_of(config, "balance.mark_mask") == Position{1, 1});
}

TEST_CASE("config check: a mask of n bits tells 2^n-1 uplinks apart, 255 at most") {
    CHECK(mask_capacity(0) == 0);
    CHECK(mask_capacity(0x80000000) == 1);
    CHECK(mask_capacity(0x00070000) == 7);
    CHECK(mask_capacity(0x00ff0000) == 255);
    CHECK(mask_capacity(0xffffffff) == 255);
}
