// SPDX-License-Identifier: GPL-2.0-or-later
#include "link_simulation.h"

using namespace linkbal;
using namespace linkbal::test;

TEST_CASE("a link is good at its first answer") {
    LinkSimulation link(HealthConfig{}, one_target);
    CHECK(link.health.interval() == 200ms);
    link.run_until(10s);
    REQUIRE(link.changes.size() == 2);
    CHECK(link.changes[0].verdict == Verdict::unknown);
    CHECK(link.changes[0].reason == "waiting for the first answers");
    CHECK(link.last().at == 20ms);
    CHECK(link.last().verdict == Verdict::good);
    CHECK(link.last().reason == "1 of 1 target answers");
    CHECK(link.health.interval() == 500ms);
    CHECK(link.judgement.loss == 0.0);
    CHECK(link.judgement.latency == 20ms);
    CHECK(link.judgement.jitter == 0us);
}

TEST_CASE("a link that never answers is bad after three fast probes and the timeout") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.network = outage(0s);
    link.run_until(5s);
    REQUIRE(link.changes.size() == 2);
    CHECK(link.last().at == 1400ms);
    CHECK(link.last().verdict == Verdict::bad);
    CHECK(link.last().reason == "no answer from 1.1.1.1 for 1.4 s");
    CHECK(link.judgement.loss == 1.0);
}

TEST_CASE("by default a dead link is found within 1.6 s of its last answer") {
    for (const auto after : {0ms, 1ms, 250ms, 499ms}) {
        LinkSimulation link(HealthConfig{}, one_target);
        Clock::duration last_answer{};
        link.network = [&, died = 20s + after](size_t, Clock::duration at) {
            std::optional<Clock::duration> round_trip;
            if (at < died) {
                round_trip = 20ms + at % 7ms;
                last_answer = at + *round_trip;
            }
            return round_trip;
        };
        link.run_until(30s);
        CHECK(link.count(Verdict::bad) == 1);
        CHECK(link.last().verdict == Verdict::bad);
        CHECK(link.last().at - last_answer <= 1600ms);
        CHECK(link.last().at - last_answer >= 1500ms);
    }
}

TEST_CASE("probes every 100 ms find a dead link within 350 ms") {
    HealthConfig config;
    config.interval = 100ms;
    LinkSimulation link(config, one_target);
    link.network = outage(20s);
    link.run_until(30s);
    CHECK(link.last().verdict == Verdict::bad);
    CHECK(link.last().at - (19900ms + 20ms) <= 350ms);
    CHECK(link.last().reason == "no answer from 1.1.1.1 for 0.3 s");
}

TEST_CASE("a link is back after five answers in a row") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.network = outage(10s, 20s);
    link.run_until(30s);
    const auto back = link.when(Verdict::good, 15s);
    CHECK(back > 22s);
    CHECK(back < 22s + 500ms + 20ms);
    const auto& returning = link.changes[link.changes.size() - 2];
    CHECK(returning.verdict == Verdict::bad);
    CHECK(returning.kind == ReasonKind::returning);
    CHECK(returning.reason == "1 of 5 answers in a row from 1.1.1.1");
}

TEST_CASE("a missed probe begins the count of answers anew") {
    HealthConfig config;
    config.up_after = 3;
    LinkSimulation link(config, one_target);
    int number = 0; // two answers, then a miss
    link.network = [&](size_t, Clock::duration at) -> std::optional<Clock::duration> {
        if (at < 10s) {
            return 20ms;
        }
        return at > 15s && number++ % 3 != 2 ? std::optional<Clock::duration>(20ms) : std::nullopt;
    };
    link.run_until(10min);
    CHECK(link.count(Verdict::good) == 1);
    CHECK(link.last().verdict == Verdict::bad);
    link.network = outage(0s, 0s);
    link.run_until(10min + 2s);
    CHECK(link.last().verdict == Verdict::good);
}

TEST_CASE(
    "two lost probes in a row are nothing, and a link that flaps slowly changes twice a turn") {
    LinkSimulation link(HealthConfig{}, one_target);
    int number = 0;
    link.network = [&](size_t, Clock::duration) {
        return number++ % 3 == 0 ? std::optional<Clock::duration>(20ms) : std::nullopt;
    };
    link.run_until(10min);
    CHECK(link.count(Verdict::bad) == 0);

    LinkSimulation flapping(HealthConfig{}, one_target);
    flapping.network = [](size_t, Clock::duration at) {
        return at % 10s < 5s ? std::optional<Clock::duration>(20ms) : std::nullopt;
    };
    flapping.run_until(100s);
    size_t turns = 0;
    for (size_t i = 1; i < flapping.changes.size(); ++i) {
        turns += flapping.changes[i].verdict != flapping.changes[i - 1].verdict ? 1 : 0;
    }
    CHECK(turns == 1 + 10 + 9); // good, and 10 outages with 9 returns between
}

TEST_CASE("answers that grow late under load fail no link") {
    HealthConfig config;
    config.interval = 100ms;
    LinkSimulation link(config, one_target);
    link.network = [](size_t, Clock::duration at) -> std::optional<Clock::duration> {
        const auto ramp = std::clamp<Clock::duration>(at - 10s, 0s, 5s);
        return 20ms + ramp * 780 / 5000;
    };
    link.run_until(60s);
    CHECK(link.count(Verdict::bad) == 0);
    CHECK(link.judgement.latency == 800ms);
    // Nor when the queue drains at once, and fills in one step at the usual interval.
    LinkSimulation step(HealthConfig{}, one_target);
    step.network = [](size_t, Clock::duration at) -> std::optional<Clock::duration> {
        return at % 20s < 10s ? 20ms : 800ms;
    };
    step.run_until(5min);
    CHECK(step.count(Verdict::bad) == 0);
}

TEST_CASE("an answer after the timeout is none") {
    HealthConfig config;
    config.timeout = 300ms;
    LinkSimulation link(config, one_target);
    link.network = [](size_t, Clock::duration at) -> std::optional<Clock::duration> {
        return at < 10s ? 300ms : 301ms;
    };
    link.run_until(9s);
    CHECK(link.judgement.loss == 0.0);
    link.run_until(60s);
    CHECK(link.last().verdict == Verdict::bad);
    CHECK(link.last().kind == ReasonKind::silent);
    CHECK(link.judgement.loss == 1.0);
    CHECK(!link.judgement.latency);
}

TEST_CASE("an answer to an older probe ends the silence") {
    HealthConfig config;
    config.timeout = 5s;
    LinkHealth health(config, one_target, Verdict::good);
    const Time start{1h};
    const auto at = [&](Clock::duration when) { return health.judge({}, start + when).verdict; };
    const auto early = health.sent(0, start);
    health.answered(0, early, start + 20ms); // patience is 60 ms
    const auto late = health.sent(0, start + 500ms);
    health.sent(0, start + 1000ms);
    health.answered(0, late, start + 1400ms);
    health.sent(0, start + 1500ms);
    health.sent(0, start + 2000ms);
    CHECK(at(2000ms) == Verdict::good);
    // The round trip is now expected to take 1040 ms: srtt is 130 ms, rttvar 227.5 ms.
    CHECK(health.next_deadline(start + 2000ms) == start + 3040ms);
    CHECK(at(3039ms) == Verdict::good);
    CHECK(at(3040ms) == Verdict::bad);
}

TEST_CASE("answers that nobody waits for are ignored") {
    LinkHealth health(HealthConfig{}, one_target, Verdict::unknown);
    const Time start{1h};
    health.answered(0, 0, start);
    health.answered(0, 12345, start);
    CHECK(health.judge({}, start).verdict == Verdict::unknown);
    const auto id = health.sent(0, start);
    health.answered(0, id, start + 10ms);
    health.answered(0, id, start + 900ms); // twice
    CHECK(health.judge({}, start + 1s).latency == 10ms);
    for (int i = 0; i < 10000; ++i) {
        health.sent(0, start + 2s);
    }
    health.answered(0, id + 1, start + 2s); // no longer remembered
    CHECK(health.judge({}, start + 2s).latency == std::nullopt);
}

TEST_CASE("loss is judged by its threshold, with hysteresis") {
    HealthConfig config;
    config.max_loss = 40;
    config.down_after = 10;
    LinkSimulation link(config, one_target);
    int number = 0;
    int lost = 9; // of 20
    link.network = [&](size_t, Clock::duration) {
        ++number;
        const bool is_lost = number * lost / 20 != (number - 1) * lost / 20;
        return is_lost ? std::nullopt : std::optional<Clock::duration>(20ms);
    };
    link.run_until(1min);
    CHECK(link.last().verdict == Verdict::bad);
    CHECK(link.judgement.reason == "loss 45 % of 1.1.1.1 above 40 %");
    CHECK(link.last().at >= 9 * 500ms); // half a window
    lost = 6;                           // 30 %: not yet below three quarters
    link.run_until(2min);
    CHECK(link.last().verdict == Verdict::bad);
    lost = 5;
    link.run_until(3min);
    CHECK(link.last().verdict == Verdict::good);
    lost = 8; // 40 %: not above
    link.run_until(4min);
    CHECK(link.last().verdict == Verdict::good);
    CHECK(link.count(Verdict::bad) == 1);
}

TEST_CASE("latency is judged by its threshold") {
    HealthConfig config;
    config.max_latency = 200ms;
    LinkSimulation link(config, one_target);
    Clock::duration round_trip = 200ms;
    link.network = [&](size_t, Clock::duration) { return std::optional(round_trip); };
    link.run_until(1min);
    CHECK(link.last().verdict == Verdict::good);
    round_trip = 300ms;
    link.run_until(2min);
    CHECK(link.last().verdict == Verdict::bad);
    CHECK(link.judgement.reason == "latency 300 ms of 1.1.1.1 above 200 ms");
    CHECK(link.last().kind == ReasonKind::threshold);
    round_trip = 160ms;
    link.run_until(3min);
    CHECK(link.last().verdict == Verdict::bad);
    round_trip = 149ms;
    link.run_until(4min);
    CHECK(link.last().verdict == Verdict::good);
}

TEST_CASE("jitter is judged by its threshold") {
    HealthConfig config;
    config.max_jitter = 50ms;
    LinkSimulation link(config, one_target);
    bool even = false;
    Clock::duration swing = 60ms;
    link.network = [&](size_t, Clock::duration) -> std::optional<Clock::duration> {
        even = !even;
        return 50ms + (even ? swing : 0ms);
    };
    link.run_until(1min);
    CHECK(link.last().verdict == Verdict::bad);
    CHECK(link.judgement.reason == "jitter 60 ms of 1.1.1.1 above 50 ms");
    CHECK(link.judgement.jitter == 60ms);
    swing = 30ms;
    link.run_until(2min);
    CHECK(link.last().verdict == Verdict::good);
}

TEST_CASE("thresholds wait for half a window and for five probes") {
    HealthConfig config;
    config.max_latency = 100ms;
    for (const auto& [window, probes] : {std::pair{5U, 5}, {20U, 10}, {21U, 11}}) {
        config.window = window;
        LinkSimulation link(config, one_target);
        link.network = [](size_t, Clock::duration) {
            return std::optional<Clock::duration>(150ms);
        };
        link.run_until(1min);
        CHECK(link.last().verdict == Verdict::bad);
        // The first is sent at 0, the second 200 ms later since there is no verdict yet.
        CHECK(link.last().at == 200ms + (probes - 2) * 500ms + 150ms);
    }
}

TEST_CASE("a quorum of targets must answer") {
    const std::vector<HealthTarget> three{{"A", false}, {"B", false}, {"C", false}};
    const auto verdict = [&](uint32_t quorum, size_t answering) {
        HealthConfig config;
        config.quorum = quorum;
        LinkSimulation link(config, three);
        link.network = [&](size_t target, Clock::duration) {
            return target < answering ? std::optional<Clock::duration>(20ms) : std::nullopt;
        };
        link.run_until(10s);
        return std::pair{link.last().verdict, link.judgement.reason};
    };
    CHECK(verdict(1, 1) == std::pair{Verdict::good, std::string("1 of 3 targets answer")});
    CHECK(verdict(1, 3) == std::pair{Verdict::good, std::string("3 of 3 targets answer")});
    CHECK(verdict(1, 0) ==
          std::pair{Verdict::bad, std::string("no answer from A, B and C for 10.0 s")});
    CHECK(verdict(2, 1) ==
          std::pair{Verdict::bad, std::string("no answer from B and C for 10.0 s")});
    CHECK(verdict(2, 2).first == Verdict::good);
    CHECK(verdict(3, 2) == std::pair{Verdict::bad, std::string("no answer from C for 10.0 s")});
    CHECK(verdict(99, 2).first == Verdict::bad);
    CHECK(verdict(99, 3).first == Verdict::good);
}

TEST_CASE("a target that is lost beside another one changes the reason only") {
    LinkSimulation link(HealthConfig{}, two_targets);
    link.network = [](size_t target, Clock::duration at) {
        return target == 0 && at > 10s ? std::nullopt : std::optional<Clock::duration>(20ms);
    };
    link.run_until(1min);
    REQUIRE(link.changes.size() == 3);
    CHECK(link.changes[1].reason == "2 of 2 targets answer");
    CHECK(link.last().reason == "1 of 2 targets answer");
    CHECK(link.last().verdict == Verdict::good);
}

TEST_CASE("a gateway that never answers is no evidence") {
    LinkSimulation alone(HealthConfig{}, only_gateway);
    alone.network = outage(0s);
    alone.run_until(10min);
    REQUIRE(alone.changes.size() == 2);
    CHECK(alone.last().at == 1s); // the timeout
    CHECK(alone.last().verdict == Verdict::good);
    CHECK(alone.last().reason == "192.0.2.1 has never answered a probe: nothing to judge by");
    CHECK(!alone.judgement.loss);

    LinkSimulation beside(HealthConfig{}, {{"192.0.2.1", true}, {"1.1.1.1", false}});
    beside.network = [](size_t target, Clock::duration at) {
        return target == 0 || at > 20s ? std::nullopt : std::optional<Clock::duration>(20ms);
    };
    beside.run_until(10s);
    CHECK(beside.last().verdict == Verdict::good);
    CHECK(beside.judgement.loss == 0.0);
    beside.run_until(30s);
    CHECK(beside.last().verdict == Verdict::bad);
    CHECK(beside.last().reason == "no answer from 1.1.1.1 for 1.5 s");
}

TEST_CASE("a gateway that has answered is evidence") {
    LinkSimulation link(HealthConfig{}, only_gateway);
    link.network = outage(10s);
    link.run_until(20s);
    CHECK(link.last().verdict == Verdict::bad);
    CHECK(link.last().kind == ReasonKind::silent);
    // It answers for the first time long after.
    HealthConfig config;
    config.max_loss = 40;
    LinkSimulation late(config, only_gateway);
    late.network = outage(0s, 1min);
    late.run_until(2min);
    CHECK(late.count(Verdict::bad) == 0);
    CHECK(late.last().kind == ReasonKind::all_answer);
    CHECK(late.judgement.loss == 0.0);
}

TEST_CASE("what the daemon before has said stands until there is evidence") {
    for (const Verdict initial : {Verdict::good, Verdict::bad}) {
        LinkSimulation link(HealthConfig{}, two_targets, initial);
        CHECK(link.health.interval() == 500ms);
        CHECK(link.last().verdict == initial);
        CHECK(link.last().kind == ReasonKind::taken_over);
        link.network = outage(0s);
        link.run_until(1990ms);
        CHECK(link.changes.size() == 1);
        link.run_until(3s);
        CHECK(link.last().verdict == Verdict::bad);
        CHECK(link.last().kind == ReasonKind::silent);
        CHECK(link.last().at == 2s); // three probes and the timeout
    }
    LinkSimulation back(HealthConfig{}, two_targets, Verdict::bad);
    back.run_until(10s);
    CHECK(back.when(Verdict::good, 0s) == 2020ms); // the fifth answer
    LinkSimulation on(HealthConfig{}, two_targets, Verdict::good);
    on.run_until(10s);
    CHECK(on.count(Verdict::bad) == 0);
    CHECK(on.last().kind == ReasonKind::all_answer);
}

TEST_CASE("a gateway link that was bad stays so until the gateway answers") {
    LinkSimulation link(HealthConfig{}, only_gateway, Verdict::bad);
    link.network = outage(0s, 1min);
    link.run_until(59s);
    CHECK(link.last().verdict == Verdict::bad);
    link.run_until(2min);
    CHECK(link.last().verdict == Verdict::good);
}

TEST_CASE("a link without probes or targets is good") {
    HealthConfig config;
    config.probe = ProbeKind::none;
    LinkHealth unprobed(config, {}, Verdict::bad);
    CHECK(unprobed.judge({}, Time{}).verdict == Verdict::good);
    CHECK(unprobed.judge({}, Time{}).reason == "not probed");
    CHECK(!unprobed.next_deadline(Time{}));
    LinkHealth targetless(HealthConfig{}, {}, Verdict::unknown);
    CHECK(targetless.judge({}, Time{}).verdict == Verdict::good);
    CHECK(targetless.judge({}, Time{}).reason == "not probed: no target of this family");
}

TEST_CASE("a process that stood still for a year accuses no link of it") {
    LinkSimulation link(HealthConfig{}, one_target);
    link.run_until(10s);
    for (int i = 0; i < 3; ++i) {
        link.stall(24h * 365);
        link.run_until((i + 1) * 24h * 365 + (i + 2) * 10s);
    }
    CHECK(link.count(Verdict::bad) == 0);
    link.network = outage(0s);
    link.run_until(3 * 24h * 365 + 1min);
    CHECK(link.last().verdict == Verdict::bad);
}
