// SPDX-License-Identifier: GPL-2.0-or-later
// What real connections do to a verdict of probes.
#include <random>

#include "link_simulation.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

// A connection succeeds every `period` until `end`.
LinkSimulation::Passive traffic(const LinkSimulation& link, Clock::duration period,
                                Clock::duration end = Clock::duration::max(),
                                Clock::duration begin = 0s) {
    return [=, start = link.start](Clock::duration at) {
        PassiveEvidence evidence;
        const auto last = std::min(at, end);
        if (last >= begin) {
            evidence.last_success = start + last / period * period;
        }
        return evidence;
    };
}

PassiveEvidence eaten() { return {{}, true, "9 of 10 connections die here", {}}; }

LinkSimulation::Passive eats_from(Clock::duration from, Clock::duration to) {
    return [=](Clock::duration at) { return at >= from && at < to ? eaten() : PassiveEvidence{}; };
}

LinkSimulation::Network random_loss(double share) {
    return [share, random = std::mt19937(1)](size_t, Clock::duration) mutable {
        return std::bernoulli_distribution(share)(random) ? std::nullopt
                                                          : std::optional<Clock::duration>(20ms);
    };
}

} // namespace

TEST_CASE("30 % of lost probes fail no link that carries traffic, in a day") {
    HealthConfig config;
    SECTION("silence") {}
    SECTION("loss") { config.max_loss = 20; }
    LinkSimulation link(config, one_target);
    link.network = random_loss(0.3);
    link.passive = traffic(link, 250ms);
    link.run_until(24h, false);
    CHECK(link.count(Verdict::bad) == 0);
    CHECK(std::ranges::count(link.changes, ReasonKind::traffic, &Change::kind) > 10);

    LinkSimulation idle(config, one_target);
    idle.network = random_loss(0.3);
    idle.run_until(1h, false);
    CHECK(idle.count(Verdict::bad) > 0);
}

TEST_CASE("traffic keeps a link whose probes are blocked") {
    LinkSimulation link(HealthConfig{}, two_targets);
    link.network = outage(10s);
    link.passive = traffic(link, 100ms);
    link.run_until(10min);
    CHECK(link.count(Verdict::bad) == 0);
    CHECK(link.last().kind == ReasonKind::traffic);
    CHECK(link.last().reason == "probes unanswered, but connections succeed");
}

TEST_CASE("traffic hides a death no longer than probes take to find it") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.network = outage(10s);
    SECTION("that of the probes and of the connections") {
        link.passive = traffic(link, 10ms, 10s);
        link.run_until(20s);
        CHECK(link.last().at <= 11600ms);
    }
    SECTION("that of the connections, long after that of the probes") {
        link.passive = traffic(link, 10ms, 15s);
        link.run_until(30s);
        CHECK(link.last().at > 15s);
        CHECK(link.last().at <= 17s);
    }
    CHECK(link.last().verdict == Verdict::bad);
}

TEST_CASE("traffic brings a link back only if it lasts") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.network = outage(10s);
    link.passive = [&](Clock::duration at) {
        // One success at 20 s, and all from 30 s on.
        if (at >= 30s) {
            return traffic(link, 100ms)(at);
        }
        PassiveEvidence evidence;
        if (at >= 20s) {
            evidence.last_success = link.start + 20s;
        }
        return evidence;
    };
    link.run_until(29s);
    CHECK(link.count(Verdict::good) == 1);
    CHECK(link.last().verdict == Verdict::bad);
    link.run_until(1min);
    CHECK(link.last().verdict == Verdict::good);
    CHECK(link.last().at >= 32500ms);
    CHECK(link.last().at <= 33500ms);
    CHECK(link.last().kind == ReasonKind::traffic);
}

TEST_CASE("traffic judges a link of which there is no verdict yet") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.network = outage(0s);
    link.passive = traffic(link, 50ms);
    link.run_until(1min);
    CHECK(link.count(Verdict::bad) == 0);
    CHECK(link.last().kind == ReasonKind::traffic);
}

TEST_CASE("traffic excuses neither latency nor jitter") {
    HealthConfig config;
    SECTION("latency") { config.max_latency = 40ms; }
    SECTION("jitter") { config.max_jitter = 40ms; }
    LinkSimulation link(config, one_target);
    int number = 0;
    link.network = [&](size_t, Clock::duration) -> std::optional<Clock::duration> {
        return number++ % 2 == 0 ? 20ms : 80ms;
    };
    link.passive = traffic(link, 100ms);
    link.run_until(1min);
    CHECK(link.last().verdict == Verdict::bad);
    CHECK(link.last().kind == ReasonKind::threshold);
}

TEST_CASE("a link that eats connections is bad although it answers") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.passive = eats_from(100s, 101s);
    link.run_until(200s);
    REQUIRE(link.changes.size() == 4);
    CHECK(link.changes[2].kind == ReasonKind::eats_connections);
    CHECK(link.changes[2].verdict == Verdict::bad);
    CHECK(link.changes[2].reason == "9 of 10 connections die here, next trial in 10 s");
    CHECK(link.last().verdict == Verdict::good);
    CHECK(link.last().at - link.changes[2].at == 10s);
}

TEST_CASE("after the trial pause probes decide") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.network = outage(105s);
    link.passive = eats_from(100s, 101s);
    link.run_until(200s);
    CHECK(link.count(Verdict::good) == 1);
    CHECK(link.last().kind == ReasonKind::silent);
}

TEST_CASE("evidence from before the pause is not held against the trial") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.passive = eats_from(100s, 115s); // stands on while nothing new is seen
    link.run_until(300s);
    CHECK(link.count(Verdict::bad) == 1);
    CHECK(link.last().verdict == Verdict::good);
}

TEST_CASE("trials are ever rarer, up to ten minutes") {
    LinkSimulation link(HealthConfig{}, one_target);
    bool was_bad = false;
    link.passive = [&](Clock::duration at) {
        // As soon as it is tried, it eats again: seen false, then true.
        const bool bad = link.judgement.verdict == Verdict::bad;
        const bool eats = !bad && !std::exchange(was_bad, bad) && at >= 10s;
        return eats ? eaten() : PassiveEvidence{};
    };
    link.run_until(2h);
    std::vector<int64_t> pauses;
    for (size_t i = 0; i + 1 < link.changes.size(); ++i) {
        if (link.changes[i].verdict == Verdict::bad) {
            pauses.push_back(std::chrono::round<std::chrono::seconds>(link.changes[i + 1].at -
                                                                      link.changes[i].at)
                                 .count());
        }
    }
    REQUIRE(pauses.size() >= 9);
    pauses.resize(9);
    CHECK(pauses == std::vector<int64_t>{10, 20, 40, 80, 160, 320, 600, 600, 600});
}

TEST_CASE("ten minutes without a pause make the next one short again") {
    for (const auto& [quiet, pause] :
         {std::pair<Clock::duration, Clock::duration>{9min, 20s}, {10min, 10s}}) {
        LinkSimulation link(HealthConfig{}, one_target);
        const auto second = 110s + quiet;
        link.passive = [&](Clock::duration at) {
            return (at >= 100s && at < 101s) || (at >= second && at < second + 1s)
                       ? eaten()
                       : PassiveEvidence{};
        };
        link.run_until(30min);
        REQUIRE(link.count(Verdict::bad) == 2);
        const auto from = link.when(Verdict::bad, 200s);
        CHECK(link.when(Verdict::good, from) - from == pause);
    }
}

TEST_CASE("evidence that stays true through a whole trial ends it") {
    TrialPause trial;
    const Time start{1h};
    CHECK(trial.update(true, start));
    CHECK(trial.update(true, start + 9s));
    CHECK_FALSE(trial.update(true, start + 10s));
    CHECK(trial.next_deadline(start + 10s) == start + 20s);
    CHECK_FALSE(trial.update(true, start + 19s));
    CHECK(trial.update(true, start + 20s));
    CHECK(trial.left(start + 20s) == 20s);
}

TEST_CASE("passive evidence can be switched off") {
    HealthConfig config;
    config.passive = false;
    LinkSimulation link(config, one_target);
    link.network = outage(50s);
    link.passive = [&](Clock::duration at) {
        auto evidence = traffic(link, 100ms)(at);
        evidence.eats_connections = at < 40s;
        return evidence;
    };
    link.run_until(45s);
    CHECK(link.count(Verdict::bad) == 0);
    link.run_until(1min);
    CHECK(link.last().kind == ReasonKind::silent);
}
