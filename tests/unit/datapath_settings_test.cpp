// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/datapath_settings.h"

#include "support/catch.h"

using namespace linkbal;

TEST_CASE("the clock of leases is as slow as can be with twelve ticks a second") {
    struct Case {
        uint32_t jiffies;
        LeaseClock expected;
    };
    for (const auto& [jiffies, expected] :
         {Case{100, {3, 12}}, Case{250, {4, 15}}, Case{300, {4, 18}}, Case{1000, {6, 15}},
          Case{1024, {6, 16}}, Case{24, {1, 12}}, Case{23, {0, 23}}, Case{10, {0, 10}}}) {
        INFO(jiffies);
        CHECK(lease_clock(jiffies) == expected);
    }
}

TEST_CASE("what is told at load, and what stays from one load to the next") {
    DatapathState state;
    state.mark_mask = 0x0000ff00;
    state.conntrack_lookup = false;
    const auto first = settings_for(state, std::nullopt);
    REQUIRE(first);
    CHECK(first->abi_version == LB_ABI_VERSION);
    CHECK(first->mark_shift == 8);
    CHECK(first->fast_path == 0);
    CHECK(first->flow_buckets[0] == 1);
    CHECK(first->tag != 0);
    CHECK(first->ticks_per_second > 0);
    CHECK(first->has_conntrack == 0);
    state.fast_path = state.conntrack_lookup = state.conntrack_timeout = true;
    state.flow_buckets = {300, 200};
    state.tcp_timeout = 432000;
    const auto second = settings_for(state, *first);
    REQUIRE(second);
    CHECK(second->hash_seed == first->hash_seed);
    CHECK(second->tag == first->tag);
    CHECK(second->fast_path == 1);
    CHECK(second->has_conntrack == 1);
    CHECK(second->has_timeout == 1);
    CHECK(second->flow_buckets[LB_IPV6] == 200);
    CHECK(second->tcp_timeout == 432000);
}
