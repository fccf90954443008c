// SPDX-License-Identifier: GPL-2.0-or-later
// From what is seen of a link to whether it is fit, and the words for it.
#include "core/link_state.h"

#include "gateway_cases.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using Fitness = std::array<FamilyFitness, 2>;
using Judgements = std::array<std::optional<Judgement>, 2>;

constexpr std::array was_good{true, true};
constexpr std::array was_bad{false, false};

Judgement judged(Verdict verdict, const std::string& reason) {
    Judgement judgement;
    judgement.verdict = verdict;
    judgement.reason = reason;
    return judgement;
}
const Judgement good = judged(Verdict::good, "1 of 1 targets answers");
const Judgement bad = judged(Verdict::bad, "no answer from 192.0.2.1 for 2 s");
const Judgement unknown = judged(Verdict::unknown, "waits for the first answer");

// eth1 with carrier.
const Interface& running() {
    static const Interface eth1 = [] {
        Interface made = interface("eth1", {"192.168.1.2/24"});
        made.running = true;
        return made;
    }();
    return eth1;
}

Fitness fitness(const Judgements& judgements, const std::array<bool, 2>& before = was_good) {
    return link_fitness({.device = "eth1",
                         .interface = &running(),
                         .judgements = judgements,
                         .not_ready = std::nullopt},
                        before);
}

Fitness both(bool fit, const std::string& reason) {
    return {FamilyFitness{fit, reason}, FamilyFitness{fit, reason}};
}
const Fitness fit = both(true, "fine");
const Fitness unfit = both(false, "silent");

Uplink settled(const std::array<bool, 2>& paths, const std::array<bool, 2>& serves) {
    Uplink uplink;
    uplink.name = "velox1";
    uplink.device = "eth1";
    uplink.serves = serves;
    for (size_t family = 0; family < paths.size(); ++family) {
        if (paths.at(family)) {
            uplink.paths.at(family) = UplinkPath{};
        }
    }
    return uplink;
}
const Uplink in_use = settled({true, true}, {true, true});

} // namespace

TEST_CASE("what stands in the way of a link comes before all verdicts") {
    Interface eth1 = running();
    LinkObservation seen{.device = "eth1",
                         .interface = nullptr,
                         .judgements = {good, good},
                         .not_ready = "log_in: exit status 1"};
    CHECK(link_fitness(seen, was_good) == both(false, "interface eth1 is not there"));
    seen.interface = &eth1;
    eth1.up = eth1.running = false;
    CHECK(link_fitness(seen, was_good) == both(false, "eth1 is switched off"));
    eth1.up = true;
    CHECK(link_fitness(seen, was_good) == both(false, "eth1 has no carrier"));
    eth1.running = true;
    CHECK(link_fitness(seen, was_good) == both(false, "log_in: exit status 1"));
    seen.not_ready.reset();
    CHECK(link_fitness(seen, was_bad) == both(true, good.reason));
}

TEST_CASE("each family has its own verdict") {
    CHECK(fitness({good, bad}) == Fitness{FamilyFitness{true, good.reason}, {false, bad.reason}});
    CHECK(fitness({bad, good}, was_bad) ==
          Fitness{FamilyFitness{false, bad.reason}, {true, good.reason}});
}

TEST_CASE("a family without targets shares the other one's fate") {
    for (const Judgement& judgement : {good, bad}) {
        const auto shared = both(judgement.verdict == Verdict::good, judgement.reason);
        CHECK(fitness({judgement, std::nullopt}) == shared);
        CHECK(fitness({std::nullopt, judgement}, was_bad) == shared);
    }
    CHECK(fitness({}, was_bad) == both(true, "eth1 has carrier")); // nothing to judge by
}

TEST_CASE("an unknown verdict leaves what was, family by family") {
    for (const Judgements& judgements : {Judgements{unknown, unknown}, Judgements{unknown, {}}}) {
        const auto found = fitness(judgements, {true, false});
        CHECK(found[0] == FamilyFitness{true, unknown.reason});
        CHECK(found[1] == FamilyFitness{false, unknown.reason});
    }
    CHECK(fitness({judged(Verdict::unknown, ""), {}}) == both(true, "not judged yet"));
}

TEST_CASE("a link in use is up, one that is unfit is down") {
    CHECK(link_state(in_use, fit) == LinkState{UplinkState::up, "fine"});
    CHECK(link_state(settled({true, true}, {}), unfit) == LinkState{UplinkState::down, "silent"});
}

TEST_CASE("reasons are said for the families that the link has") {
    const Fitness half{FamilyFitness{true, "fine"}, {false, "silent"}};
    const Fitness other{FamilyFitness{false, "silent"}, {true, "fine"}};
    CHECK(link_state(settled({true, true}, {true, false}), half) ==
          LinkState{UplinkState::up, "IPv4: fine; IPv6: silent"});
    CHECK(link_state(settled({true, true}, {false, true}), other) ==
          LinkState{UplinkState::up, "IPv4: silent; IPv6: fine"});
    CHECK(link_state(settled({true, false}, {true, false}), half).reason == "fine");
    CHECK(link_state(settled({false, true}, {}), half) == LinkState{UplinkState::down, "silent"});
    CHECK(link_state(settled({true, false}, {}), other) == LinkState{UplinkState::down, "silent"});
    CHECK(link_state(settled({false, true}, {false, true}), other).reason == "fine");
}

TEST_CASE("a link without a way out is down, and says what it lacks") {
    const LinkState lacks{UplinkState::down, "eth1 has no address and gateway"};
    CHECK(link_state(settled({}, {}), fit) == lacks);
    const Fitness half{FamilyFitness{true, "fine"}, {false, "silent"}};
    CHECK(link_state(settled({}, {}), half) == lacks);
    // What else is wrong explains why there is none.
    CHECK(link_state(settled({}, {}), both(false, "interface eth1 is not there")).reason ==
          "interface eth1 is not there");
}

TEST_CASE("the last resort says that it is one") {
    CHECK(link_state(in_use, unfit) ==
          LinkState{UplinkState::down, "silent; used nevertheless, because no link is good"});
}

TEST_CASE("a link that is fit and not needed stands by") {
    CHECK(link_state(settled({true, true}, {}), fit) ==
          LinkState{UplinkState::up, "fine; stands by: an uplink of a lower tier is used"});
}

TEST_CASE("drained and retired links carry their connections to the end") {
    Uplink drained = settled({true, true}, {});
    drained.drained = true;
    CHECK(link_state(drained, fit) ==
          LinkState{UplinkState::draining, "drained by command: its open connections go on"});
    CHECK(link_state(drained, unfit) == LinkState{UplinkState::down, "silent"});
    for (const Fitness& any : {fit, unfit}) {
        Uplink retired = settled({true, true}, {});
        retired.retired = retired.drained = true;
        CHECK(link_state(retired, any) ==
              LinkState{UplinkState::draining, "no longer configured: its open connections go on"});
    }
}
