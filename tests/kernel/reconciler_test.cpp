// SPDX-License-Identifier: GPL-2.0-or-later
// Passes over a gateway in namespaces of its own, its files and its bpffs included.
#include "gateway_lab.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

TEST_CASE("a pass sets up what is not there, the next one finds nothing to do") {
    LINKBAL_OWN_GATEWAY(lab);
    const auto first = lab.pass();
    CHECK(first.programs_loaded);
    CHECK(!first.actions.empty());
    CHECK(!first.postponed);
    CHECK(first.desired.uplinks.size() == 2);
    const auto second = lab.pass();
    CHECK(second.actions.empty());
    CHECK(!second.programs_loaded);
    CHECK(!lab.repaired());
}

TEST_CASE("what somebody has removed is put back, and counted as a repair") {
    LINKBAL_OWN_GATEWAY(lab);
    lab.settle();
    ip("rule del pref 10003");
    CHECK(lab.pass().actions ==
          std::vector<std::vector<std::string>>{
              {"ip -4 rule add pref 10003 iif lan0 lookup balance protocol 76"}});
    CHECK(lab.log.has("warning: somebody else has undone this, putting it right: ip -4 rule add"));
    CHECK(shown("rule").find("10003:") != std::string::npos);
    CHECK(lab.pass().actions.empty());
}

TEST_CASE("more repairs than the budget has wait") {
    LINKBAL_OWN_GATEWAY(lab);
    lab.settle();
    for (int i = 0; i < 5; ++i) {
        ip("rule del pref 10003");
        CHECK(!lab.pass().postponed);
    }
    ip("rule del pref 10003");
    const auto waits = lab.pass();
    REQUIRE(waits.postponed);
    CHECK(waits.actions.empty());
    CHECK(*waits.postponed > Clock::now());
    CHECK(*waits.postponed < Clock::now() + 10s);
    CHECK(shown("rule").find("10003:") == std::string::npos);

    // An order does not wait, though it changes nothing else, and brings the repair with it.
    lab.config.uplinks[1].tier = 2;
    lab.pass();
    ip("rule del pref 10003");
    lab.conditions.uplinks["velox2"].drained = true;
    const auto ordered = lab.pass(Reconciler::Occasion::request);
    CHECK(!ordered.postponed);
    CHECK(ordered.actions.size() == 1);
    lab.conditions.uplinks.clear();
    CHECK(lab.pass().desired.uplinks[1].drained); // it is remembered
}

TEST_CASE("what follows from a link is no repair") {
    LINKBAL_OWN_GATEWAY(lab);
    lab.settle();
    ip("link set wan2 down"); // the kernel takes its routes away
    ip("link set wan2 up");
    ip("addr add 2001:db8:2::2/64 nodad dev wan2");
    lab.reconciler->expect_changes();
    CHECK(!lab.pass().actions.empty());
    CHECK(!lab.repaired());
    lab.conditions.uplinks["velox2"].good = {false, false};
    CHECK(!lab.pass().actions.empty());
    CHECK(!lab.repaired());
    ip("rule del pref 10003"); // after it, repairs are repairs again
    CHECK(lab.pass().actions.size() == 1);
    CHECK(lab.repaired());
}

TEST_CASE("unreachable routes are known as ours") {
    LINKBAL_OWN_GATEWAY(lab);
    lab.config.failover.all_down = AllDown::unreachable;
    lab.settle();
    for (const char* name : {"velox1", "velox2"}) {
        lab.conditions.uplinks[name].good = {false, false};
    }
    CHECK(!lab.pass().actions.empty());
    CHECK(shown("-4 route show table 30").find("unreachable default") == 0);
    CHECK(shown("-6 route show table 30").find("unreachable default") == 0);
    CHECK(lab.pass().actions.empty());
    lab.conditions.uplinks.clear();
    CHECK(!lab.pass().actions.empty());
    CHECK(shown("route show table 30").find("unreachable") == std::string::npos);
    CHECK(shown("-6 route show table 30").find("unreachable") == std::string::npos);
    CHECK(lab.pass().actions.empty());
    CHECK(!lab.repaired());
}

TEST_CASE("routes over several links are replaced while one has no carrier") {
    LINKBAL_OWN_GATEWAY(lab);
    lab.settle();
    ip("link set wan2p down");
    lab.reconciler->expect_changes();
    lab.config.uplinks[0].weight = 3;
    CHECK(!lab.pass().actions.empty());
    for (const std::string family : {"-4", "-6"}) {
        const std::string balance = shown(family + " route show table 30");
        INFO(balance);
        CHECK(balance.find("dev wan1 weight 3") != std::string::npos);
        CHECK(balance.find("dev wan2 weight 1") != std::string::npos);
    }
    CHECK(lab.pass().actions.empty());
    lab.conditions.uplinks["velox2"].good = {false, false};
    CHECK(!lab.pass().actions.empty());
    CHECK(lab.pass().actions.empty());
}

TEST_CASE("links may go and come while somebody watches") {
    LINKBAL_OWN_GATEWAY(lab);
    lab.settle();
    ip("link del wan2");
    lab.reconciler->expect_changes();
    CHECK(!lab.pass().actions.empty());
    CHECK(lab.pass().actions.empty());
    make_network({"wan2"});
    ip("addr add 198.51.102.2/24 dev wan2");
    lab.reconciler->expect_changes();
    CHECK(!lab.pass().actions.empty());
    CHECK(lab.pass().actions.empty());
    CHECK(shown("route show table 30").find("wan2") != std::string::npos);
    CHECK(!lab.repaired());
}

TEST_CASE("a configuration that does not fit is refused, and the one before stays") {
    LINKBAL_OWN_GATEWAY(lab);
    lab.settle();
    Config bad = lab.config;
    bad.lan.networks = {*Prefix::parse("198.51.101.0/24")};
    const auto refused = lab.reconciler->pass(Reconciler::Occasion::request, bad, "f.toml",
                                              [&](const Facts&) { return lab.conditions; });
    REQUIRE(!refused);
    CHECK(!refused.error().mistakes.empty());
    CHECK(lab.pass().actions.empty());
}
