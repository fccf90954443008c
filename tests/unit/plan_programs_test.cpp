// SPDX-License-Identifier: GPL-2.0-or-later
// Which programs are loaded, attached and detached, and in what order.
#include <algorithm>
#include <map>

#include "plan_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const Attachment* attachment_of(const Action& action) {
    const auto* attach = std::get_if<Attach>(&action);
    const auto* detach = std::get_if<Detach>(&action);
    return attach != nullptr ? &attach->at : detach != nullptr ? &detach->at : nullptr;
}

// A device has one program a direction: what is in the slots after all of `plan`.
std::vector<Attachment> attached_after(const Plan& plan, const std::vector<Attachment>& before) {
    std::map<std::string, Attachment> slots;
    const auto slot = [](const Attachment& at) {
        return fmt::format("{} {} {}", at.device, attach_direction(at.role), at.tcx);
    };
    for (const Attachment& at : before) {
        slots.insert_or_assign(slot(at), at);
    }
    for (const Action& action : plan) {
        const Attachment* at = attachment_of(action);
        if (at != nullptr && std::holds_alternative<Attach>(action)) {
            slots.insert_or_assign(slot(*at), *at);
        } else if (at != nullptr) {
            slots.erase(slot(*at));
        }
    }
    std::vector<Attachment> after;
    for (const auto& [key, at] : slots) {
        after.push_back(at);
    }
    std::ranges::sort(after);
    return after;
}

} // namespace

TEST_CASE("an older binary's programs are replaced device by device") {
    const Desired done = desired(two_links());
    ActualState actual = applied(done);
    actual.datapath->current = false;
    actual.datapath->attachments.erase(actual.datapath->attachments.begin());
    const Plan plan = make_plan(actual, done, remembers(done));
    CHECK(outline(plan) == "load attach");
    const auto load = all_of<LoadPrograms>(plan).at(0);
    CHECK(load.replaces);
    CHECK(all_of<Attach>(plan).size() == 4);
}

// They are constants of the loaded programs (struct lb_settings).
TEST_CASE("another hash or mask takes programs that were loaded with it") {
    Config other_hash = two_links();
    other_hash.balance.hash = HashMode::source;
    CHECK(outline(change(two_links(), other_hash)) == "load attach");
    Config other_mask = two_links();
    other_mask.balance.mark_mask = 0x0000ff00;
    const Plan plan = change(two_links(), other_mask);
    CHECK(outline(plan) == "load rule+ attach rule-");
    CHECK(all_of<Attach>(plan).size() == 4);
    const Desired done = desired(two_links());
    ActualState older_kernel = applied(done);
    older_kernel.datapath->state.conntrack_lookup = false;
    CHECK(outline(make_plan(older_kernel, done, remembers(done))) == "load attach");
}

TEST_CASE("clsact and tcx: the other is attached before the one is detached") {
    for (const bool tcx : {true, false}) {
        const Desired done = desired(two_links(), machine(), {}, {}, {!tcx, true});
        const Memory memory = remembers(done);
        const Desired wanted =
            desired(two_links(), machine(), memory, done.state.datapath.buckets, {tcx, true});
        const ActualState actual = applied(done);
        const Plan plan = make_plan(actual, wanted, memory);
        CHECK(outline(plan) == "attach detach");
        CHECK(attached_after(plan, actual.datapath->attachments) ==
              wanted_attachments(wanted.state.datapath));
    }
}

TEST_CASE("a device that changes sides keeps the program of its new role") {
    Facts facts = machine();
    const Config before = three_links(facts);
    Config after = two_links();
    after.lan.interfaces = {"eth0", "eth3"};
    for (const auto& [from, to] : {std::pair(before, after), std::pair(after, before)}) {
        const Desired done = desired(from, facts);
        const Memory memory = remembers(done);
        const Desired wanted = desired(to, facts, memory, done.state.datapath.buckets);
        const ActualState actual = applied(done);
        const Plan plan = make_plan(actual, wanted, memory);
        CHECK(attached_after(plan, actual.datapath->attachments) ==
              wanted_attachments(wanted.state.datapath));
        // The way back is to attach the old one again, so it has to be an action.
        const auto is_eth3 = [](const Action& action) {
            const Attachment* at = attachment_of(action);
            return at != nullptr && at->device == "eth3" && at->role != AttachRole::lan_ingress;
        };
        const auto first = std::ranges::find_if(plan, is_eth3);
        REQUIRE(first != plan.end());
        CHECK(std::holds_alternative<Detach>(*first));
    }
}

TEST_CASE("what is left over and not wanted is detached") {
    const Desired done = desired(two_links());
    ActualState actual = applied(done);
    const Attachment gone{"eth7", AttachRole::uplink_egress, true};
    const Attachment other_way{"eth0", AttachRole::lan_ingress, false};
    actual.datapath->outdated = {other_way, gone};
    const Plan plan = make_plan(actual, done, remembers(done));
    CHECK(outline(plan) == "detach");
    REQUIRE(plan.size() == 2);
    CHECK(std::get<Detach>(plan[0]).at == other_way);
    CHECK(std::get<Detach>(plan[1]).at == gone);
}

TEST_CASE("what is left over where something is wanted is only replaced") {
    const Desired done = desired(two_links());
    ActualState actual = applied(done);
    auto& now = *actual.datapath;
    now.attachments.erase(now.attachments.begin() + 1);
    // Of a link without a program nobody knows the role.
    now.outdated = {{"eth0", AttachRole::uplink_egress, true}};
    const Plan plan = make_plan(actual, done, remembers(done));
    CHECK(outline(plan) == "attach");
    CHECK(attached_after(plan, now.attachments) == wanted_attachments(done.state.datapath));
}
