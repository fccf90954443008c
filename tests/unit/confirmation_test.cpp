// SPDX-License-Identifier: GPL-2.0-or-later
// What is remembered of a change that goes back unless it is confirmed.
#include "core/confirmation.h"

#include "gateway_cases.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

const Time now{100s};

RememberedUplink known(const std::string& name, uint32_t id, uint32_t table) {
    RememberedUplink uplink;
    uplink.name = name;
    uplink.id = id;
    uplink.table = table;
    return uplink;
}

Memory at_work() {
    Memory memory;
    memory.network_namespace = 7;
    memory.uplinks = {known("velox1", 1, 10), known("velox2", 2, 11)};
    memory.uplinks[1].ordered_weight = 9;
    memory.uplinks[1].configured_weight = 3;
    memory.balance_table = 30;
    memory.sysctls = {{"net/ipv4/ip_forward", "0"}};
    memory.applied = {"a.toml", "former"};
    return memory;
}

// After a change that has left velox2 out, brought velox3, and moved a table.
Memory changed() {
    Memory memory = on_trial(at_work(), "new", now + 60s).value();
    memory.applied = {"a.toml", "new"};
    memory.uplinks = {known("velox1", 1, 77), known("velox3", 3, 12)};
    memory.balance_table = 44;
    memory.sysctls.emplace("net/ipv6/conf/all/forwarding", "0");
    return memory;
}

} // namespace

TEST_CASE("a change on trial remembers what is at work") {
    const auto memory = on_trial(at_work(), "new", now + 60s);
    REQUIRE(memory);
    REQUIRE(memory->unconfirmed);
    CHECK(memory->unconfirmed->deadline == 160s);
    CHECK(memory->unconfirmed->text == "new");
    CHECK(!memory->unconfirmed->returning);
    REQUIRE(memory->unconfirmed->former);
    const FormerGateway& former = *memory->unconfirmed->former;
    CHECK(former.source == ConfigSource{"a.toml", "former"});
    CHECK(former.uplinks == at_work().uplinks);
    CHECK(former.balance_table == 30);
    CHECK(former.sysctls == std::vector<std::string>{"net/ipv4/ip_forward"});
    CHECK(confirmed(*memory) == at_work());
    CHECK(until(*memory, now + 5s).unconfirmed->deadline == 105s);
    CHECK(until(at_work(), now) == at_work());
}

TEST_CASE("where nothing is at work there is nothing to remember") {
    const auto memory = on_trial({}, "new", now);
    REQUIRE(memory);
    CHECK(!memory->unconfirmed->former);
    CHECK(!is_nothing(*memory));
    CHECK(is_nothing(confirmed(*memory)));
    CHECK(!is_nothing(at_work()));
}

TEST_CASE("without the configuration at work there is no way back, so no trial") {
    Memory memory = at_work();
    memory.applied.reset();
    const auto refused = on_trial(memory, "new", now);
    REQUIRE(!refused);
    CHECK(refused.error().message.find("there is no way back: ") == 0);
}

TEST_CASE("on the way back uplinks have their ids, tables and orders again") {
    const Memory memory = returning(changed());
    CHECK(memory.unconfirmed->returning);
    CHECK(memory.balance_table == 30);
    REQUIRE(memory.uplinks.size() == 3);
    CHECK(memory.uplinks[0] == known("velox1", 1, 10));
    CHECK(memory.uplinks[1] == known("velox3", 3, 12));
    CHECK(memory.uplinks[2] == at_work().uplinks[1]);
    CHECK(returning(memory) == memory); // a killed one begins anew
    CHECK(returning(at_work()) == at_work());
}

TEST_CASE("an id that somebody else has by now is not given twice") {
    Memory memory = changed();
    memory.uplinks[1].id = 2;
    CHECK(returning(memory).uplinks.size() == 2);
}

TEST_CASE("only what the change has changed beyond is put back, and only on the way back") {
    CHECK(sysctls_to_return(at_work()).empty());
    CHECK(sysctls_to_return(changed()).empty());
    CHECK(sysctls_to_return(returning(changed())) ==
          std::vector<std::string>{"net/ipv6/conf/all/forwarding"});
    CHECK(sysctls_to_return(returning(on_trial({}, "new", now).value())).empty());
}

TEST_CASE("a text that nobody has confirmed is not what a daemon starts with") {
    const ConfigSource former{"a.toml", "former"};
    CHECK(in_place_of("new", changed()) == former);
    CHECK(!in_place_of("corrected", changed()));
    CHECK(!in_place_of("new", on_trial({}, "new", now).value())); // nothing else is known
    Memory back = returned(returning(changed()));
    CHECK(!back.unconfirmed);
    CHECK(back.rejected == "new");
    back.applied = former;
    CHECK(in_place_of("new", back) == former);
    CHECK(!in_place_of("corrected", back));
    back.applied = {"a.toml", "new"};
    CHECK(!in_place_of("new", back));
    CHECK(!in_place_of("former", at_work()));
    CHECK(!in_place_of("", Memory{}));
}

TEST_CASE("what is applied for good is not taken back for a stale note") {
    const auto applied_over = [](const Memory& noted, const std::string& text) {
        Memory memory = noted;
        memory.applied = {"a.toml", text};
        return superseded(memory);
    };
    for (const Memory& noted : {changed(), returning(changed())}) {
        // The same text again: somebody has asked for it after all.
        const Memory same = applied_over(noted, "new");
        CHECK(!same.unconfirmed);
        CHECK(same.rejected.empty());
        CHECK(!in_place_of("new", same));
        const Memory another = applied_over(noted, "corrected");
        CHECK(!another.unconfirmed);
        CHECK(in_place_of("new", another) == another.applied);
        CHECK(!in_place_of("corrected", another));
    }
    CHECK(superseded(at_work()) == at_work());
}

TEST_CASE("the time that is left is told in whole seconds, at least until it is over") {
    const Unconfirmed change = *on_trial({}, "new", now + 1500ms).value().unconfirmed;
    CHECK(time_left(change, now) == 2s);
    CHECK(time_left(change, now + 501ms) == 1s);
    CHECK(time_left(change, now + 1500ms) == 0s);
    CHECK(time_left(change, now + 1h) == 0s);
    CHECK(waiting_words(change, now, "process 7").find("(process 7, 2 s are left)") !=
          std::string::npos);
}
