// SPDX-License-Identifier: GPL-2.0-or-later
// The rule that decides from real connections, in a small world of links, servers and clients.
#include "core/passive_health.h"

#include <functional>
#include <queue>
#include <random>
#include <vector>

#include "support/catch.h"

using namespace linkbal;
using namespace std::chrono_literals;

namespace {

constexpr Time start{1000s};

// Runs events in the order of their time, and shows the rule the counters every 500 ms.
class World {
  public:
    explicit World(std::vector<uint32_t> uplinks) : uplinks_(std::move(uplinks)) {
        counters_.resize(256);
        show();
    }

    Time now = start;
    PassiveHealth health;
    Clock::duration round_trip = 40ms;
    Clock::duration patience = 60s; // of clients; SYNs are sent again after 1, 3, 7 ... seconds
    std::function<bool(uint32_t uplink, uint32_t server)> answers = [](auto, auto) { return true; };

    void connect(uint32_t uplink, uint32_t server) { send(uplink, server, now, 0s); }

    // Calls `traffic` `per_second` times a second.
    template <typename Traffic>
    void run(Clock::duration length, int per_second, Traffic traffic) {
        const Time end = now + length;
        const auto gap = std::chrono::duration_cast<Clock::duration>(1s) / per_second;
        for (Time next = now; next < end; next += gap) {
            advance(next);
            traffic();
        }
        advance(end);
    }

    // The first moment at which the rule says so, from now on; asked at every snapshot.
    template <typename Traffic>
    std::optional<Clock::duration> time_to_verdict(uint32_t uplink, Clock::duration limit,
                                                   int per_second, Traffic traffic) {
        const Time began = now;
        verdict_.reset();
        watched_ = uplink;
        run(limit, per_second, traffic);
        watched_ = 0;
        return verdict_ ? std::optional(*verdict_ - began) : std::nullopt;
    }

    PassiveEvidence evidence(uint32_t uplink) const {
        return health.evidence(uplink, Family::ipv4, now);
    }
    HandshakeCounters& counters(uint32_t uplink) { return counters_.at(uplink); }
    void advance(Time to) {
        while (!events_.empty() && events_.top().at <= to) {
            const Event event = events_.top();
            events_.pop();
            catch_up(event.at);
            event.act();
        }
        catch_up(to);
    }

  private:
    struct Event {
        Time at;
        std::function<void()> act;
        bool operator>(const Event& other) const { return at > other.at; }
    };

    void send(uint32_t uplink, uint32_t server, Time first, Clock::duration age) {
        HandshakeCounters& counted = counters(uplink);
        ++(age == 0s ? counted.attempts : counted.retries);
        ++counted.slot_attempts.at(slot(server));
        if (answers(uplink, server)) {
            events_.push(
                {first + age + round_trip, [=, this] { answer(uplink, server, age == 0s); }});
        } else if (const auto next = 2 * age + 1s; next <= patience) {
            events_.push({first + next, [=, this] { send(uplink, server, first, next); }});
        }
    }
    void answer(uint32_t uplink, uint32_t server, bool sample) {
        HandshakeCounters& counted = counters(uplink);
        ++counted.answers;
        ++counted.slot_answers.at(slot(server));
        counted.round_trips += sample ? round_trip : 0ms;
        counted.round_trip_samples += sample ? 1 : 0;
    }
    void catch_up(Time to) {
        while (next_ <= to) {
            now = next_;
            show();
        }
        now = std::max(now, to);
    }
    void show() {
        for (const uint32_t uplink : uplinks_) {
            health.observe(uplink, Family::ipv4, counters_.at(uplink), now);
        }
        for (const uint32_t uplink : uplinks_) {
            const bool concerned = watched_ == uplink || watched_ == any;
            if (concerned && !verdict_ && evidence(uplink).eats_connections) {
                verdict_ = now;
            }
        }
        next_ = now + 500ms;
    }

  public:
    static constexpr uint32_t any = ~0U;
    static size_t slot(uint32_t server) { return server * 0x9e3779b1U >> 26; }
    static uint32_t server_in(size_t wanted) {
        uint32_t server = 0;
        while (slot(server) != wanted) {
            ++server;
        }
        return server;
    }

  private:
    std::vector<uint32_t> uplinks_;
    std::vector<HandshakeCounters> counters_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    Time next_ = start;
    uint32_t watched_ = 0;
    std::optional<Time> verdict_;
};

// Connections by turns over two links, each to a server of `servers`.
auto by_turns(World& world, uint32_t servers) {
    return [&world, servers, turn = 0U]() mutable {
        ++turn;
        world.connect(1 + turn % 2, servers == 1 ? 1 : turn * 7919 % servers);
    };
}

bool is_within(std::optional<Clock::duration> time, Clock::duration limit) {
    CAPTURE(time ? std::chrono::duration<double>(*time).count() : -1.0);
    return time && *time <= limit;
}

} // namespace

TEST_CASE("an uplink that was never seen has no evidence") {
    const PassiveHealth health;
    const auto evidence = health.evidence(1, Family::ipv4, start);
    CHECK_FALSE(evidence.last_success);
    CHECK_FALSE(evidence.eats_connections);
    CHECK_FALSE(evidence.round_trip);
    CHECK(evidence.reason.empty());
}

TEST_CASE("the last success is when answers were seen to rise") {
    PassiveHealth health;
    HandshakeCounters counters{.attempts = 5, .answers = 5};
    health.observe(1, Family::ipv4, counters, start);
    CHECK_FALSE(health.evidence(1, Family::ipv4, start).last_success);
    counters.attempts = counters.answers = 6;
    health.observe(1, Family::ipv4, counters, start + 500ms);
    health.observe(1, Family::ipv4, counters, start + 1s);
    CHECK(health.evidence(1, Family::ipv4, start + 1s).last_success == start + 500ms);
    CHECK(health.evidence(1, Family::ipv4, start + 1h).last_success == start + 500ms);
    CHECK_FALSE(health.evidence(1, Family::ipv6, start + 1s).last_success);
    CHECK_FALSE(health.evidence(2, Family::ipv4, start + 1s).last_success);
}

TEST_CASE("the round trip is the mean of the last seconds") {
    World world({1, 2});
    world.round_trip = 300ms;
    world.run(20s, 4, by_turns(world, 50));
    world.round_trip = 40ms;
    world.run(5s, 4, by_turns(world, 50));
    const auto mixed = world.evidence(1).round_trip.value();
    CHECK(mixed > 40ms);
    CHECK(mixed < 300ms);
    world.run(15s, 4, by_turns(world, 50));
    CHECK(world.evidence(1).round_trip == 40ms);
    world.advance(world.now + 20s);
    CHECK_FALSE(world.evidence(1).round_trip);
}

TEST_CASE("a link that eats connections is found within five seconds") {
    World world({1, 2});
    const uint32_t servers = GENERATE(1U, 5U, 1000000U);
    world.patience = GENERATE(500ms, 60s); // clients that give up after 1 s, and others
    CAPTURE(servers, world.patience == 60s);
    world.run(30s, 4, by_turns(world, servers));
    world.answers = [](uint32_t uplink, uint32_t) { return uplink != 1; };
    CHECK(is_within(world.time_to_verdict(1, 10s, 4, by_turns(world, servers)), 5s));
    CHECK_FALSE(world.evidence(2).eats_connections);
    CHECK(world.evidence(1).reason.find("connection attempts answered for") != std::string::npos);
    CHECK(world.evidence(2).reason.empty());
}

TEST_CASE("the phase of the snapshots does not matter") {
    for (auto phase = 0ms; phase < 500ms; phase += 50ms) {
        World world({1, 2});
        world.patience = 500ms;
        world.run(20s + phase, 4, by_turns(world, 1));
        world.answers = [](uint32_t uplink, uint32_t) { return uplink != 1; };
        INFO(phase.count() << " ms");
        CHECK(is_within(world.time_to_verdict(1, 10s, 4, by_turns(world, 1)), 5s));
    }
}

TEST_CASE("two links of three that die together are both found") {
    World world({1, 2, 3});
    const auto traffic = [&, turn = 0U]() mutable {
        ++turn;
        world.connect(1 + turn % 3, turn);
    };
    world.run(20s, 6, traffic);
    world.answers = [](uint32_t uplink, uint32_t) { return uplink == 3; };
    world.run(6s, 6, traffic);
    CHECK(world.evidence(1).eats_connections);
    CHECK(world.evidence(2).eats_connections);
    CHECK_FALSE(world.evidence(3).eats_connections);
}

TEST_CASE("one answer ends the silence") {
    World world({1, 2});
    world.run(20s, 4, by_turns(world, 1000));
    world.answers = [](uint32_t uplink, uint32_t) { return uplink != 1; };
    world.run(6s, 4, by_turns(world, 1000));
    REQUIRE(world.evidence(1).eats_connections);
    ++world.counters(1).answers;
    ++world.counters(1).slot_answers.at(0);
    world.advance(world.now + 500ms);
    CHECK_FALSE(world.evidence(1).eats_connections);
}

TEST_CASE("an outage of two seconds is nobody's fault") {
    World world({1, 2});
    world.run(20s, 40, by_turns(world, 1000));
    world.patience = 0s;
    world.answers = [](uint32_t uplink, uint32_t) { return uplink != 1; };
    CHECK_FALSE(world.time_to_verdict(1, 2s, 40, by_turns(world, 1000)));
    world.answers = [](uint32_t, uint32_t) { return true; };
    CHECK_FALSE(world.time_to_verdict(1, 20s, 40, by_turns(world, 1000)));
}

TEST_CASE("a host that keeps calling a dead server fails no link") {
    World world({1, 2});
    world.answers = [](uint32_t, uint32_t server) { return server != 1; };
    SECTION("with nothing else") {
        CHECK_FALSE(world.time_to_verdict(World::any, 60s, 10, by_turns(world, 1)));
    }
    SECTION("by one link only, while others browse by the other") {
        const auto traffic = [&, turn = 0U]() mutable {
            world.connect(1, 1);
            world.connect(2, 100 + ++turn);
        };
        CHECK_FALSE(world.time_to_verdict(World::any, 60s, 4, traffic));
    }
    SECTION("while others browse") {
        const auto traffic = [&, turn = 0U]() mutable {
            world.connect(1 + ++turn % 2, 1);
            world.connect(1 + turn / 8 % 2, turn % 8 == 0 ? 100 + turn : 1);
        };
        CHECK_FALSE(world.time_to_verdict(World::any, 120s, 10, traffic));
    }
}

TEST_CASE("a server that dies fails no link") {
    World world({1, 2});
    world.run(20s, 10, by_turns(world, 1));
    world.answers = [](uint32_t, uint32_t) { return false; };
    CHECK_FALSE(world.time_to_verdict(World::any, 60s, 10, by_turns(world, 1)));
}

TEST_CASE("a slow server or a slow link is no dead one") {
    World world({1, 2});
    world.round_trip = GENERATE(900ms, 1500ms, 2500ms);
    world.run(20s, 4, by_turns(world, 1000));
    CHECK_FALSE(world.time_to_verdict(World::any, 60s, 4, by_turns(world, 1000)));
}

TEST_CASE("a scanner that nobody answers fails no link") {
    World world({1, 2});
    world.answers = [](uint32_t, uint32_t) { return false; };
    SECTION("from the beginning") {}
    SECTION("after other traffic") {
        world.answers = [](uint32_t, uint32_t) { return true; };
        world.run(20s, 4, by_turns(world, 1000));
        world.answers = [](uint32_t, uint32_t) { return false; };
    }
    CHECK_FALSE(world.time_to_verdict(World::any, 60s, 50, by_turns(world, 1000000)));
}

TEST_CASE("an only link is judged by what it did before") {
    World world({1});
    const auto traffic = [&, server = 0U]() mutable { world.connect(1, ++server); };
    SECTION("it carried, and carries nothing any more") {
        world.run(20s, 4, traffic);
        world.answers = [](uint32_t, uint32_t) { return false; };
        const auto time = world.time_to_verdict(1, 20s, 4, traffic);
        CHECK(is_within(time, 10s));
        CHECK(time > std::optional<Clock::duration>(5s));
    }
    SECTION("it never carried anything") {
        world.answers = [](uint32_t, uint32_t) { return false; };
        CHECK_FALSE(world.time_to_verdict(1, 60s, 20, traffic));
    }
    SECTION("a scanner begins when nobody has had an answer for minutes") {
        world.run(20s, 4, traffic);
        world.advance(world.now + 120s);
        world.answers = [](uint32_t, uint32_t) { return false; };
        CHECK_FALSE(world.time_to_verdict(1, 60s, 20, traffic));
    }
    SECTION("one server dies") {
        world.run(20s, 4, [&] { world.connect(1, 1); });
        world.answers = [](uint32_t, uint32_t) { return false; };
        CHECK_FALSE(world.time_to_verdict(1, 60s, 20, [&] { world.connect(1, 1); }));
    }
}

TEST_CASE("forgotten or counted anew, an uplink begins afresh") {
    World world({1, 2});
    world.run(20s, 4, by_turns(world, 1000));
    world.answers = [](uint32_t uplink, uint32_t) { return uplink != 1; };
    world.run(6s, 4, by_turns(world, 1000));
    REQUIRE(world.evidence(1).eats_connections);
    SECTION("forgotten") { world.health.forget(1, Family::ipv4); }
    SECTION("counted anew") {
        world.health.observe(1, Family::ipv4, HandshakeCounters{.attempts = 1}, world.now);
    }
    CHECK_FALSE(world.evidence(1).eats_connections);
    CHECK_FALSE(world.evidence(1).last_success);
    CHECK_FALSE(world.evidence(1).round_trip);
}

TEST_CASE("a fresh link that eats connections from the start is found as well") {
    World world({1, 2});
    world.answers = [](uint32_t uplink, uint32_t) { return uplink != 1; };
    CHECK(is_within(world.time_to_verdict(1, 20s, 4, by_turns(world, 5)), 10s));
}

TEST_CASE("counters of slots may wrap") {
    World world({1, 2});
    for (const uint32_t uplink : {1, 2}) {
        world.counters(uplink).slot_attempts.fill(0xffffffff);
        world.counters(uplink).slot_answers.fill(0xffffffff);
    }
    world.advance(world.now + 20s);
    SECTION("on good links") {
        CHECK_FALSE(world.time_to_verdict(World::any, 60s, 20, by_turns(world, 1000)));
    }
    SECTION("on a bad one") {
        world.answers = [](uint32_t uplink, uint32_t) { return uplink != 1; };
        CHECK(is_within(world.time_to_verdict(1, 5s, 20, by_turns(world, 1000)), 5s));
    }
}

TEST_CASE("connections that are too young say nothing") {
    World world({1, 2});
    world.answers = [](uint32_t, uint32_t server) { return server != 1; };
    world.run(20s, 20, by_turns(world, 1000));
    world.connect(1, 1);
    world.run(4s, 20, [&, server = 1U] { world.connect(2, server + 1); });
    world.round_trip = 700ms;
    for (uint32_t i = 0; i < 50; ++i) {
        world.connect(1, 2);
    }
    CHECK_FALSE(world.time_to_verdict(1, 2s, 1, [] {}));
}

TEST_CASE("servers that are dead for all links are nobody's fault") {
    World world({1, 2});
    world.run(30s, 20, by_turns(world, 1000));
    world.answers = [](uint32_t, uint32_t server) { return World::slot(server) >= 12; };
    const auto traffic = [&, turn = 0U]() mutable { // only link 2 has others as well
        ++turn;
        world.connect(1 + turn % 2, World::server_in(turn / 2 % 12));
        world.connect(2, World::server_in(12 + turn % 50));
    };
    CHECK_FALSE(world.time_to_verdict(1, 60s, 20, traffic));
}

TEST_CASE("a link that always has the dead peers is used to it") {
    std::mt19937 random(11); // NOLINT(cert-msc51-cpp): the same runs every time
    std::uniform_int_distribution<uint32_t> number;
    World world({1, 2});
    world.answers = [](uint32_t, uint32_t server) { return server < 1000 || server % 10 >= 8; };
    const auto traffic = [&] {
        world.connect(1, 1000 + number(random) % 1000000);
        world.connect(2, number(random) % 1000);
    };
    world.run(30s, 4, traffic);
    CHECK_FALSE(world.time_to_verdict(1, 600s, 4, traffic));
}

// Peer-to-peer clients: most of whom they call is gone. In each run the number of peers a second, the
// part of them that is dead, the loss of the links and how clients are spread are drawn anew.
TEST_CASE("random traffic on good links fails none") {
    std::mt19937 random(20240229); // NOLINT(cert-msc51-cpp): the same runs every time
    const auto uniform = [&](double from, double to) {
        return std::uniform_real_distribution<>(from, to)(random);
    };
    std::uniform_int_distribution<uint32_t> number;
    int wrong = 0;
    for (int run = 0; run < 300; ++run) {
        World world({1, 2});
        const double dead = uniform(0.5, 0.95), loss = uniform(0, 0.1), web = uniform(0, 0.5);
        const double skew = uniform(0.3, 0.7); // 0.5: by turns; else one link has more of them
        const auto rate = static_cast<int>(uniform(1, 30));
        const uint32_t salt = number(random);
        world.answers = [&](uint32_t, uint32_t server) {
            const bool is_dead = server >= 1000 && (server ^ salt) % 1000 < dead * 1000;
            return !is_dead && uniform(0, 1) >= loss;
        };
        const auto traffic = [&] {
            const uint32_t uplink = uniform(0, 1) < skew ? 1 : 2;
            const bool browses = uniform(0, 1) < web;
            world.connect(uplink,
                          browses ? number(random) % 1000 : 1000 + number(random) % 1000000);
        };
        wrong += world.time_to_verdict(World::any, 120s, rate, traffic) ? 1 : 0;
    }
    CHECK(wrong == 0);
}

TEST_CASE("among dead peers a link that eats connections is found") {
    std::mt19937 random(7); // NOLINT(cert-msc51-cpp): the same runs every time
    std::uniform_int_distribution<uint32_t> number;
    World world({1, 2});
    const auto alive = [](uint32_t server) { return server < 1000 || server % 10 >= 7; };
    world.answers = [&](uint32_t, uint32_t server) { return alive(server); };
    const auto traffic = [&] {
        const bool browses = number(random) % 3 == 0;
        world.connect(1 + number(random) % 2, number(random) % (browses ? 1000 : 1000000));
    };
    world.run(60s, 12, traffic);
    world.answers = [&](uint32_t uplink, uint32_t server) { return uplink != 1 && alive(server); };
    CHECK(is_within(world.time_to_verdict(1, 30s, 12, traffic), 10s));
    CHECK_FALSE(world.evidence(2).eats_connections);
}
