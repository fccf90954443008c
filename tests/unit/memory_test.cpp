// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/memory.h"

#include "gateway_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

Memory full() {
    Memory memory;
    memory.network_namespace = 4026531840;
    memory.uplinks = {{.name = "velox1",
                       .interface = "eth1",
                       .id = 1,
                       .table = 10,
                       .weight = 7,
                       .gateways = {ip("192.168.1.1"), ip("2001:db8:1::1")},
                       .retired = false,
                       .drained = true,
                       .ordered_weight = 7,
                       .configured_weight = 3,
                       .carried = {true, false},
                       .served = {false, true}},
                      {.name = "velox2",
                       .interface = "ppp0",
                       .id = 255,
                       .table = 4294967295U,
                       .weight = 1,
                       .gateways = {},
                       .retired = true,
                       .drained = false,
                       .ordered_weight = std::nullopt,
                       .configured_weight = 1,
                       .carried = {false, true},
                       .served = {true, false}}};
    memory.balance_table = 30;
    memory.families = {true, false};
    memory.sysctls = {{"net/ipv4/ip_forward", "0"}, {"net/ipv4/conf/eth1/rp_filter", "1"}};
    memory.forwarding = {{"eth0", Forwarding::tc, "veth"}, {"eth1", Forwarding::xdp, "native XDP"}};
    memory.refused_xdp = {{7, 9000, "Numerical result out of range"}};
    memory.mounted_bpffs = true;
    memory.applied = {"/etc/linkbal/linkbal.toml", "[lan]\n\t\"\\\"# ü\n"};
    memory.unconfirmed = Unconfirmed{.deadline = std::chrono::milliseconds(1234567890123),
                                     .text = "new",
                                     .former = FormerGateway{.source = {"file", "text"},
                                                             .uplinks = memory.uplinks,
                                                             .balance_table = 31,
                                                             .sysctls = {"net/ipv4/ip_forward"}},
                                     .returning = true};
    memory.rejected = "rejected";
    return memory;
}

// Word for word what version 0.1 wrote.
const std::string former = R"({
  "balance_table": 30,
  "mounted_bpffs": false,
  "network_namespace": 4026531840,
  "sysctls": {
    "net/ipv4/ip_forward": "0"
  },
  "uplinks": [
    {
      "gateway": "192.168.1.1",
      "gateway6": null,
      "id": 1,
      "interface": "eth1",
      "name": "velox1",
      "retired": true,
      "table": 10,
      "weight": 3
    }
  ]
}
)";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    REQUIRE(text.find(what) != std::string::npos);
    return text.replace(text.find(what), what.size(), by);
}

} // namespace

TEST_CASE("what is remembered is read back as it was") {
    Memory first = full();
    first.unconfirmed->former.reset();
    for (const Memory& memory : {Memory{}, full(), first}) {
        const auto read = parse_memory(print_memory(memory));
        REQUIRE(read);
        CHECK(*read == memory);
    }
}

TEST_CASE("what an older version has written is read, the new members by default") {
    const auto read = parse_memory(former);
    INFO((read ? "" : read.error().message));
    REQUIRE(read);
    Memory expected;
    expected.network_namespace = 4026531840;
    expected.balance_table = 30;
    expected.sysctls = {{"net/ipv4/ip_forward", "0"}};
    expected.uplinks = {{.name = "velox1",
                         .interface = "eth1",
                         .id = 1,
                         .table = 10,
                         .weight = 3,
                         .gateways = {ip("192.168.1.1"), std::nullopt},
                         .retired = true}};
    CHECK(*read == expected);
}

TEST_CASE("what nobody has written is an error") {
    const std::string text = print_memory(full());
    CHECK(!parse_memory(""));
    CHECK(!parse_memory("[]"));
    CHECK(!parse_memory(text.substr(0, text.size() / 2)));
    CHECK(!parse_memory(replaced(former, "\"table\"", "\"tables\"")));
    CHECK(!parse_memory(replaced(former, ": 10", ": \"ten\"")));
    CHECK(!parse_memory(replaced(text, "\"192.168.1.1\"", "\"nowhere\"")));
    CHECK(!parse_memory(replaced(text, "\"xdp\"", "\"dpdk\"")));
    CHECK(!parse_memory(replaced(text, "\"drained\": true", "\"drained\": 1")));
}
