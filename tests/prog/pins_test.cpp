// SPDX-License-Identifier: GPL-2.0-or-later
// What is needed again is pinned: nothing is opened by its id, which only CAP_SYS_ADMIN may.
#include <algorithm>
#include <filesystem>

#include <bpf/bpf.h>

#include "devices.h"
#include "killed.h"
#include "two_uplinks.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

namespace fs = std::filesystem;

std::vector<std::string> pins(const std::string& directory, std::string_view part) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) {
        const auto name = entry.path().filename().string();
        if (name.find(part) != std::string::npos) {
            names.push_back(name);
        }
    }
    std::ranges::sort(names);
    return names;
}

std::vector<std::string> bucket_pins(const Datapath& datapath) {
    return pins(datapath.directory(), "buckets_");
}
std::vector<std::string> former_programs(const Datapath& datapath) {
    return pins(datapath.directory() + "/programs", "@");
}

bool may_open_by_id() {
    __u32 id = 0;
    return bpf_map_get_next_id(0, &id) == 0 && Fd(bpf_map_get_fd_by_id(id));
}

BucketAssignment ipv4_buckets(const Datapath& datapath) {
    return actual(datapath).state.buckets.at(0);
}

BucketAssignment assignment(uint32_t first, uint32_t second) {
    const std::vector<WeightedUplink> weights = {{1, first}, {2, second}};
    return assign_buckets({}, weights);
}

#define LINKBAL_NEED_NO_IDS()                                                                      \
    LINKBAL_NEED_NAMESPACES();                                                                     \
    if (may_open_by_id()) {                                                                        \
        LINKBAL_SKIP("CAP_SYS_ADMIN is needed for the conntrack module of this kernel");           \
    }

} // namespace

TEST_CASE("whenever it is killed, buckets are the former or the next ones") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    Datapath datapath(instance_name);
    bring_up(datapath, two_uplinks(has_tcx()));
    const auto former = assignment(3, 1);
    const auto next = GENERATE(assignment(1, 1), BucketAssignment{});
    bool killed = true;
    bool seen_former = false;
    bool seen_next = false;
    for (int stop = 0; killed; ++stop) {
        need(datapath.set_buckets(Family::ipv4, former));
        CHECK(bucket_pins(datapath) == std::vector<std::string>{"buckets_ipv4"});
        killed = killed_at(stop, [&] { (void)datapath.set_buckets(Family::ipv4, next); });
        INFO("stop " << stop);
        CHECK(actual(datapath).current);
        const auto found = ipv4_buckets(datapath);
        CHECK((found == former || found == next));
        seen_former |= found == former;
        seen_next |= found == next;
        // Another one that is killed at the same place loses nothing either.
        (void)killed_at(stop, [&] { (void)datapath.set_buckets(Family::ipv4, next); });
        CHECK(actual(datapath).current);
    }
    CHECK((seen_former && seen_next));
    CHECK(ipv4_buckets(datapath) == next);
    CHECK(bucket_pins(datapath).size() == (next.empty() ? 0 : 1));
    need(datapath.remove());
    CHECK_FALSE(fs::exists(datapath.directory()));
}

TEST_CASE("whenever an upgrade or its undoing is killed, buckets are known or loaded anew") {
    LINKBAL_NEED_NAMESPACES();
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(has_tcx());
    bring_up(datapath, wanted);
    const auto former = need(open_object(datapath.directory()));
    auto fresh = need(load_object(*object_settings(former), {})); // maps of its own
    need(datapath.install(fresh));
    fill(datapath, wanted);
    need(datapath.set_buckets(Family::ipv4, assignment(1, 1)));
    fresh = need(open_object(datapath.directory()));
    bool killed = true;
    for (int stop = 0; killed; ++stop) {
        need(datapath.install(fresh));
        REQUIRE(actual(datapath).current);
        REQUIRE(ipv4_buckets(datapath) == assignment(1, 1));
        killed = killed_at(stop, [&] { (void)datapath.install(former); });
        INFO("stop " << stop);
        const auto found = actual(datapath);
        CHECK((!found.current || found.state.buckets.at(0) == assignment(1, 1) ||
               found.state.buckets.at(0) == assignment(3, 1)));
        need(datapath.install(former));
        REQUIRE(actual(datapath).current);
        CHECK(actual(datapath).state == wanted);
        CHECK(bucket_pins(datapath) == std::vector<std::string>{"buckets_ipv4"});
    }
    need(datapath.remove());
    CHECK_FALSE(fs::exists(datapath.directory()));
}

TEST_CASE("buckets that a former version has not pinned are loaded anew, which can be undone") {
    LINKBAL_NEED_NO_IDS();
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(has_tcx());
    bring_up(datapath, wanted);
    fs::remove(datapath.directory() + "/buckets_ipv4");
    {
        const AsAdministrator able;
        CHECK(actual(datapath).current);
        CHECK(actual(datapath).state == wanted);
    }
    const auto old = actual(datapath);
    CHECK_FALSE(old.current);
    CHECK(old.state.buckets.at(0).empty());
    CHECK(old.state.bypass == wanted.bypass);
    CHECK(old.state.uplinks == wanted.uplinks);

    const auto former = need(datapath.install(need(datapath.load(wanted))));
    for (const Family family : families) {
        const auto index = static_cast<size_t>(family);
        CHECK(actual(datapath).state.buckets.at(index) == old.state.buckets.at(index));
        need(datapath.set_buckets(family, wanted.buckets.at(index)));
    }
    CHECK(actual(datapath).current);
    CHECK(actual(datapath).state == wanted);

    for (const Family family : families) {
        need(datapath.set_buckets(family, old.state.buckets.at(static_cast<size_t>(family))));
    }
    need(datapath.install(former));
    CHECK_FALSE(actual(datapath).current);
    {
        const AsAdministrator able;
        CHECK(actual(datapath).state == wanted);
    }
    need(datapath.remove());
    CHECK_FALSE(fs::exists(datapath.directory()));
}

TEST_CASE("programs that devices run keep a pin until they are replaced") {
    LINKBAL_NEED_NAMESPACES();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(use_tcx);
    bring_up(datapath, wanted);
    need(datapath.tidy());
    CHECK(former_programs(datapath).empty());
    const auto running = programs_on_devices();
    // However often an upgrade is cut off before it attaches anything.
    for (int i = 0; i < 3; ++i) {
        need(datapath.install(need(datapath.load(wanted))));
        need(datapath.tidy());
        CHECK(former_programs(datapath).size() == 3);
        CHECK(programs_on_devices() == running);
    }
    need(datapath.attach({"wan0", AttachRole::uplink_egress, use_tcx}));
    need(datapath.tidy());
    CHECK(former_programs(datapath).size() == 3); // wan1.7 runs it
    attach_all(datapath, wanted);
    need(datapath.tidy());
    CHECK(former_programs(datapath).empty());
    const auto former = need(datapath.install(need(datapath.load(wanted))));
    need(datapath.install(former));
    need(datapath.tidy());
    CHECK(former_programs(datapath).empty());
    need(datapath.install(need(datapath.load(wanted))));
    need(datapath.remove());
    CHECK_FALSE(fs::exists(datapath.directory()));
}

TEST_CASE("a program that a former version has not pinned is stood in for") {
    LINKBAL_NEED_NO_IDS();
    const bool use_tcx = GENERATE(false, true) && has_tcx();
    make_devices();
    Datapath datapath(instance_name);
    const auto wanted = two_uplinks(use_tcx);
    bring_up(datapath, wanted);
    need(datapath.install(need(datapath.load(wanted))));
    for (const auto& name : former_programs(datapath)) {
        fs::remove(datapath.directory() + "/programs/" + name);
    }
    CHECK(actual(datapath).outdated == wanted_attachments(wanted));
    const Attachment uplink{"wan0", AttachRole::uplink_egress, use_tcx};
    const auto former = need(datapath.attached_program(uplink));
    REQUIRE(former);
    need(datapath.detach(uplink));
    need(datapath.put_back(uplink, former));
    CHECK(actual(datapath).attachments == std::vector{uplink});
    need(datapath.remove());
}
