// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/repair.h"

#include "gateway_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

GatewayState applied_state() { return desired(two_links(), machine()).state; }

} // namespace

TEST_CASE("what was there and is put back is a repair") {
    const GatewayState applied = applied_state();
    const std::vector<Action> repairs{
        AddRoute{applied.routes.front()},
        ReplaceRoute{route(10, "0.0.0.0/0", {through("eth9")}), applied.routes.back()},
        RemoveRoute{route(10, "198.51.100.0/24", {through("eth9")})},
        AddRule{applied.rules.front()},
        SetSysctl{applied.sysctls.front().key, "0", applied.sysctls.front().value},
        ReplaceNetfilter{applied.netfilter, false},
        SetBypass{{}, applied.datapath.bypass},
        SetBuckets{Family::ipv4, {}, applied.datapath.buckets[0]},
        LoadPrograms{true},
        Attach{wanted_attachments(applied.datapath).front()},
    };
    for (const Action& action : repairs) {
        CHECK(is_repair({action}, applied));
    }
    CHECK(is_repair(repairs, applied));
    CHECK_FALSE(is_repair({}, applied));
}

TEST_CASE("what was not there before is a change, whatever else is put back with it") {
    const GatewayState applied = applied_state();
    Rule other = applied.rules.front();
    other.priority = 10009;
    NetfilterState netfilter = applied.netfilter;
    netfilter.uplinks.pop_back();
    const std::vector<Action> changes{
        AddRoute{route(10, "198.51.100.0/24", {through("eth9")})},
        RemoveRoute{applied.routes.front()},
        AddRule{other},
        RemoveRule{applied.rules.front()},
        SetSysctl{applied.sysctls.front().key, "2", "7"},
        ReplaceNetfilter{netfilter, true},
        SetBuckets{Family::ipv4, applied.datapath.buckets[0], {}},
        ForgetConnections{},
    };
    for (const Action& action : changes) {
        CHECK_FALSE(is_repair({action}, applied));
        CHECK_FALSE(is_repair({AddRule{applied.rules.front()}, action}, applied));
    }
}
