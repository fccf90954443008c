// SPDX-License-Identifier: GPL-2.0-or-later
// What a daemon takes as it comes and a command calls a mistake: devices that are not there, links
// without a way out. And what becomes of their routes, programs and connections.
#include "core/attachment.h"
#include "core/config_check.h"
#include "plan_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

Facts without(const std::vector<std::string>& names) {
    Facts facts = machine();
    for (const std::string& name : names) {
        std::erase_if(facts.interfaces, [&](const Interface& one) { return one.name == name; });
    }
    return facts;
}

Desired watched(const Facts& facts, const Memory& memory = {}, Conditions conditions = {},
                const Config& config = two_links()) {
    conditions.watched = true;
    const auto result = desired_state(config, facts, memory, {}, {}, conditions);
    INFO((result ? "" : result.error().message));
    REQUIRE(result);
    return *result;
}

Memory remembers_all(const Desired& done) {
    Memory memory = remembers(done);
    memory.families = done.families;
    for (size_t i = 0; i < memory.uplinks.size(); ++i) {
        memory.uplinks[i].carried = done.uplinks[i].carries;
        memory.uplinks[i].served = done.uplinks[i].serves;
    }
    return memory;
}

Conditions unfit(const std::string& uplink) {
    Conditions conditions;
    conditions.uplinks[uplink].good = {false, false};
    return conditions;
}

std::vector<std::string> devices(const std::vector<Attachment>& attachments) {
    std::vector<std::string> names;
    std::ranges::transform(attachments, std::back_inserter(names), &Attachment::device);
    return names;
}

std::vector<std::vector<NextHop>> hops_of_table(const Desired& desired, uint32_t table) {
    std::vector<std::vector<NextHop>> all;
    for (const Route& route : desired.state.routes) {
        if (route.table == table && route.destination.is_default()) {
            all.push_back(route.hops);
        }
    }
    return all;
}

} // namespace

TEST_CASE("missing devices are a command's errors and no daemon's") {
    for (const char* missing : {"eth0", "eth2"}) {
        CHECK(!desired_state(two_links(), without({missing}), {}, {}, {}));
        CHECK(!check_system(two_links(), without({missing}), "f.toml").empty());
        CHECK(check_system(two_links(), without({missing}), "f.toml", true).empty());
        watched(without({missing}));
    }
    watched(without({"eth0", "eth1", "eth2"}));
    Facts bare = machine();
    device(bare, "eth2").addresses.clear();
    CHECK(!check_system(two_links(), bare, "f.toml").empty());
    CHECK(check_system(two_links(), bare, "f.toml", true).empty());
}

TEST_CASE("what the configuration itself contradicts is a daemon's mistake, too") {
    Config config = two_links();
    config.lan.networks = nets({"192.168.0.0/16"});
    CHECK(!check_system(config, machine(), "f.toml", true).empty());
    Facts facts = machine();
    facts.foreign_routes = {route(10, "203.0.113.0/24", {through("eth0")})};
    CHECK(!check_system(two_links(), facts, "f.toml", true).empty());
}

TEST_CASE("an uplink without a device keeps its number, and no program is attached to it") {
    const auto uplinks = watched(without({"eth1"})).state.datapath.uplinks;
    CHECK(uplinks == std::vector<DatapathUplink>{{1, "velox1", "", 1}, {2, "velox2", "eth2", 1}});
    CHECK(devices(wanted_attachments(watched(without({"eth1"})).state.datapath)) ==
          std::vector<std::string>{"eth0", "eth0", "eth2"});
    CHECK(watched(machine()).state.datapath.uplinks.front().device == "eth1");
}

TEST_CASE("the LAN's devices are those that are there, in order") {
    Config config = two_links();
    config.lan.interfaces = {"eth9", "eth3", "eth0"};
    Facts facts = machine();
    facts.interfaces.push_back(interface("eth3", {"192.168.3.1/24"}));
    CHECK(watched(facts, {}, {}, config).state.datapath.lan_devices ==
          std::vector<std::string>{"eth0", "eth3"});
    CHECK(watched(without({"eth0"})).state.datapath.lan_devices.empty());
}

TEST_CASE("a family whose links are all gone is unreachable as long as it is remembered") {
    const Memory memory = remembers_all(watched(machine()));
    const Facts none = without({"eth1", "eth2"});
    CHECK(hops_of_table(watched(none, memory), 30) == std::vector<std::vector<NextHop>>{{}, {}});
    CHECK(hops_of_table(watched(none), 30).empty());
}

TEST_CASE("connections of a link that has failed are forgotten, once a family") {
    Desired done = watched(machine());
    const Memory memory = remembers_all(done);
    const Desired after = watched(machine(), memory, unfit("velox1"));
    const auto forgotten = all_of<ForgetConnections>(make_plan(applied(done), after, memory));
    REQUIRE(forgotten.size() == 2);
    for (size_t i = 0; i < forgotten.size(); ++i) {
        CHECK(forgotten[i].uplink == "velox1");
        CHECK(forgotten[i].id == 1);
        CHECK(forgotten[i].mark == 0x10000);
        CHECK(forgotten[i].mask == 0xff0000);
        CHECK(forgotten[i].family == families[i]);
        CHECK(forgotten[i].reset);
    }
    // After everything that leads new ones elsewhere.
    CHECK(outline(make_plan(applied(done), after, memory)).ends_with(" forget"));
    const Memory then = remembers_all(after);
    const Desired again = watched(machine(), then, unfit("velox1"));
    CHECK(all_of<ForgetConnections>(make_plan(applied(after), again, then)).empty());
}

TEST_CASE("clients are not told where the configuration says so") {
    Config config = two_links();
    config.failover.reset = false;
    const Desired done = watched(machine(), {}, {}, config);
    const Memory memory = remembers_all(done);
    const Desired after = watched(without({"eth1"}), memory, {}, config);
    const auto forgotten = all_of<ForgetConnections>(make_plan(applied(done), after, memory));
    REQUIRE(forgotten.size() == 2);
    CHECK(std::ranges::none_of(forgotten, &ForgetConnections::reset));
}
