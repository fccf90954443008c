// SPDX-License-Identifier: GPL-2.0-or-later
// From what is there to what is wanted: which actions, and in what order.
#include <algorithm>
#include <functional>
#include <set>

#include "plan_cases.h"

using namespace linkbal;
using namespace linkbal::test;

TEST_CASE("the first up does everything, forwarding last") {
    const Desired wanted = desired(two_links());
    const Plan plan = make_plan(untouched(wanted), wanted, {});
    CHECK(outline(plan) ==

          "names route+ nft load devices bypass sysctl adopt rule+ route+ buckets attach sysctl");
    CHECK(all_of<AddRoute>(plan).size() == wanted.state.routes.size());
    CHECK(all_of<AddRule>(plan).size() == wanted.state.rules.size());
    CHECK(all_of<SetSysctl>(plan).size() == wanted.state.sysctls.size());
    CHECK(all_of<Attach>(plan).size() == 4);
    REQUIRE(plan.size() > 2);
    CHECK(std::get<SetSysctl>(plan[plan.size() - 2]).key == "net/ipv4/ip_forward");
    CHECK(std::get<SetSysctl>(plan.back()).key == "net/ipv6/conf/all/forwarding");
    const auto load = all_of<LoadPrograms>(plan).at(0);
    CHECK_FALSE(load.replaces);
    CHECK_FALSE(all_of<ReplaceNetfilter>(plan).at(0).existed);
}

// The kernel looks a gateway up in the route's own table first, then by the rules: "Nexthop has
// invalid gateway" where neither knows its subnet.
TEST_CASE("a table's subnets come before its default, in both families") {
    const Plan plan = make_plan({}, desired(two_links()), {});
    for (const FamilyWords& words : both_families) {
        INFO(words.any);
        bool subnet = false;
        for (const AddRoute& action : all_of<AddRoute>(plan)) {
            const Route& route = action.route;
            if (route.destination == net(words.subnet1)) {
                subnet = true;
            } else if (route.destination == net(words.any)) {
                CHECK(subnet);
            }
        }
    }
}

TEST_CASE("nothing refers to what is not there yet") {
    const Desired wanted = desired(two_links());
    std::set<std::pair<Family, uint32_t>> tables{{Family::ipv4, main_table},
                                                 {Family::ipv6, main_table}};
    std::set<std::pair<Family, uint32_t>> marks;
    bool nft = false;
    bool buckets = false;
    for (const Action& action : make_plan(untouched(wanted), wanted, {})) {
        if (const auto* route = std::get_if<AddRoute>(&action)) {
            tables.emplace(route->route.destination.family(), route->route.table);
        } else if (const auto* rule = std::get_if<AddRule>(&action)) {
            CHECK(nft);
            CHECK(tables.contains({rule->rule.family, rule->rule.table}));
            marks.emplace(rule->rule.family, rule->rule.mark);
        } else if (const auto* set = std::get_if<SetBuckets>(&action)) {
            buckets = true;
            for (const uint16_t id : std::set(set->to.begin(), set->to.end())) {
                CHECK(marks.contains({set->family, uplink_mark(id, 0x00ff0000)}));
            }
        } else if (std::holds_alternative<Attach>(action)) {
            CHECK(buckets);
        } else if (std::holds_alternative<ReplaceNetfilter>(action)) {
            nft = true;
        }
    }
    CHECK(buckets);
}

// A gateway that forwards already would drop answers that its reverse path filter does not expect.
TEST_CASE("reverse path filters are loose before the first rule") {
    const Desired wanted = desired(two_links());
    const Plan plan = make_plan(untouched(wanted), wanted, {});
    const auto is_filter = [](const Action& action) {
        const auto* set = std::get_if<SetSysctl>(&action);
        return set != nullptr && set->key.ends_with("rp_filter");
    };
    const auto is_rule = [](const Action& a) { return std::holds_alternative<AddRule>(a); };
    CHECK(std::ranges::find_if(plan, is_filter) < std::ranges::find_if(plan, is_rule));
}

TEST_CASE("no change, nothing to do") {
    const Desired done = desired(two_links());
    CHECK(make_plan(applied(done), done, remembers(done)).empty());
    CHECK(outline(change(two_links(), two_links())).empty());
}

TEST_CASE("a weight changes buckets, the map of uplinks and the balancing routes only") {
    Config after = two_links();
    after.uplinks[0].weight = 3;
    const Plan plan = change(two_links(), after);
    CHECK(outline(plan) == "devices route= buckets");
    for (const ReplaceRoute& action : all_of<ReplaceRoute>(plan)) {
        CHECK(action.to.table == 30);
        CHECK(action.from.hops[0].weight == 1);
        CHECK(action.to.hops[0].weight == 3);
    }
    CHECK(all_of<SetBuckets>(plan).size() == 2);
    CHECK(all_of<SetDevices>(plan).at(0).from.lan == all_of<SetDevices>(plan).at(0).to.lan);
}

TEST_CASE("a link that is added has its table, nftables and rules before its buckets") {
    Facts facts = machine();
    const Config after = three_links(facts);
    CHECK(outline(change(two_links(), after, facts)) ==
          "names route+ devices route= rule+ buckets attach");
}

TEST_CASE("a link that is removed loses its buckets first and its connections last") {
    Facts facts = machine();
    const Config before = three_links(facts);
    const Plan plan = change(before, two_links(), facts);
    CHECK(outline(plan) == "names buckets devices route= rule- route- detach forget");
    for (const RemoveRoute& action : all_of<RemoveRoute>(plan)) {
        CHECK(action.route.table == 12);
    }
    for (const RemoveRule& action : all_of<RemoveRule>(plan)) {
        CHECK(action.rule.table == 12);
    }
    CHECK(all_of<Detach>(plan).at(0).at == Attachment{"eth3", AttachRole::uplink_egress, true});
    const auto forget = all_of<ForgetConnections>(plan);
    REQUIRE(forget.size() == 1);
    CHECK(forget[0].uplink == "velox3");
    CHECK(forget[0].mark == 0x00030000);
    CHECK(forget[0].mask == 0x00ff0000);
}

TEST_CASE("a changed gateway is replaced in one step, but never in main") {
    Config after = two_links();
    after.uplinks[0].gateway = ip("192.168.1.9");
    after.uplinks[0].gateway6 = ip("2001:db8:1::9");
    const Plan plan = change(two_links(), after);
    CHECK(outline(plan) == "route= route+ route-");
    CHECK(all_of<ReplaceRoute>(plan).size() == 4); // link and balancing table, both families
    for (const ReplaceRoute& action : all_of<ReplaceRoute>(plan)) {
        CHECK(action.to.table != main_table);
    }
    for (const AddRoute& action : all_of<AddRoute>(plan)) {
        CHECK(action.route.table == main_table);
    }
    for (const RemoveRoute& action : all_of<RemoveRoute>(plan)) {
        CHECK(action.route.table == main_table);
    }
    CHECK(all_of<AddRoute>(plan).size() == 2);
    CHECK(all_of<RemoveRoute>(plan).size() == 2);
}

TEST_CASE("what was deleted by hand comes back, one piece each") {
    const Desired done = desired(two_links());
    for (size_t i = 0; i < done.state.routes.size(); ++i) {
        ActualState actual = applied(done);
        actual.routes.erase(actual.routes.begin() + static_cast<ptrdiff_t>(i));
        const Plan plan = make_plan(actual, done, remembers(done));
        REQUIRE(plan.size() == 1);
        CHECK(std::get<AddRoute>(plan[0]).route == done.state.routes[i]);
    }
    for (size_t i = 0; i < done.state.rules.size(); ++i) {
        ActualState actual = applied(done);
        actual.rules.erase(actual.rules.begin() + static_cast<ptrdiff_t>(i));
        const Plan plan = make_plan(actual, done, remembers(done));
        REQUIRE(plan.size() == 1);
        CHECK(std::get<AddRule>(plan[0]).rule == done.state.rules[i]);
    }
    for (size_t i = 0; i < 4; ++i) {
        ActualState actual = applied(done);
        auto& attached = actual.datapath->attachments;
        actual.datapath->outdated = {attached[i]}; // the pin of a link that was detached
        attached.erase(attached.begin() + static_cast<ptrdiff_t>(i));
        const Plan plan = make_plan(actual, done, remembers(done));
        REQUIRE(plan.size() == 1);
        CHECK(std::get<Attach>(plan[0]).at == wanted_attachments(done.state.datapath)[i]);
    }
    ActualState actual = applied(done);
    actual.table_names.reset();
    actual.netfilter = ActualState::Netfilter::different;
    actual.sysctls[0].value = "1";
    CHECK(outline(make_plan(actual, done, remembers(done))) == "names nft sysctl");
}

TEST_CASE("a parameter that this kernel does not have is left out") {
    const Desired wanted = desired(two_links());
    ActualState actual = applied(wanted);
    actual.sysctls.clear();
    CHECK(make_plan(actual, wanted, remembers(wanted)).empty());
}

TEST_CASE("removal takes everything, and puts parameters back") {
    const Desired done = desired(two_links());
    const ActualState actual = applied(done);
    Memory memory = remembers(done);
    for (const Sysctl& sysctl : done.state.sysctls) {
        memory.sysctls[sysctl.key] = "0";
    }
    const Plan plan = make_removal_plan(actual, memory);
    CHECK(outline(plan) == "sysctl unload rule- route- nft- sysctl names");
    CHECK(all_of<RemoveRule>(plan).size() == done.state.rules.size());
    CHECK(all_of<RemoveRoute>(plan).size() == done.state.routes.size());
    const auto restored = all_of<SetSysctl>(plan);
    REQUIRE(restored.size() == done.state.sysctls.size());
    // They set those of all interfaces, and nothing leaves without masquerading in the meantime.
    CHECK(restored[0].key == "net/ipv4/ip_forward");
    CHECK(restored[1].key == "net/ipv6/conf/all/forwarding");
    CHECK(restored[0].from == "1");
    CHECK(restored[0].to == "0");
    CHECK_FALSE(all_of<SetTableNames>(plan).at(0).to);
}

TEST_CASE("a parameter that is gone is not restored") {
    Memory memory;
    memory.sysctls["net/ipv4/conf/eth9/rp_filter"] = "0";
    CHECK(make_removal_plan({}, memory).empty());
}

TEST_CASE("nothing of ours, nothing to remove") { CHECK(make_removal_plan({}, {}).empty()); }

// While one goes after the other, what is local still has to be found in main.
TEST_CASE("rules go in the reverse of their order") {
    const Desired done = desired(two_links());
    Config moved = two_links();
    moved.balance.rule_priority = 20000;
    for (const Plan& plan :
         {make_removal_plan(applied(done), remembers(done)), change(two_links(), moved)}) {
        const auto removed = all_of<RemoveRule>(plan);
        REQUIRE(removed.size() == done.state.rules.size());
        for (const Family family : families) {
            std::vector<uint32_t> priorities;
            for (const RemoveRule& action : removed) {
                if (action.rule.family == family) {
                    priorities.push_back(action.rule.priority);
                }
            }
            CHECK(std::ranges::is_sorted(priorities, std::greater{}));
        }
    }
}
