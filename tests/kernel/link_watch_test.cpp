// SPDX-License-Identifier: GPL-2.0-or-later
// A watched link on a veth pair, in real time.
#include <optional>
#include <vector>

#include "support/catch.h"
#include <netinet/in.h>

#include "daemon/link_watch.h"
#include "far_side.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

HealthConfig quick(const std::string& target) {
    HealthConfig config;
    config.interval = 100ms;
    config.targets = {{address(target), 0, ""}};
    return config;
}

struct Watched {
    Watched(const HealthConfig& config, const ProbePath& path, Verdict initial = Verdict::unknown) {
        auto started = LinkWatch::start(
            context, config, path, {initial}, {.passive = [this](Time) { return evidence; }},
            [this](const Judgement& judgement) { changes.push_back(judgement); });
        INFO((started ? "" : started.error().message));
        REQUIRE(started);
        watch.emplace(*std::move(started));
    }
    bool becomes(Verdict verdict) {
        return run_until(context, [&] { return watch->judgement().verdict == verdict; });
    }

    asio::io_context context;
    PassiveEvidence evidence;
    std::vector<Judgement> changes;
    std::optional<LinkWatch> watch;
};

} // namespace

TEST_CASE("a watched link is good, bad and good again") {
    LINKBAL_FAR_SIDE(far);
    const bool ipv6 = GENERATE(false, true);
    Watched link(quick(ipv6 ? "2001:db8::9" : "192.0.2.9"),
                 wan1(ipv6 ? Family::ipv6 : Family::ipv4));
    CHECK(link.watch->judgement().verdict == Verdict::unknown);
    REQUIRE(link.becomes(Verdict::good));
    far.ignore_pings(true);
    const Time dead = Clock::now();
    REQUIRE(link.becomes(Verdict::bad));
    CHECK(Clock::now() - dead < 5s); // 0.35 s, on a machine that has nothing else to do
    CHECK(link.changes.back().reason.find("no answer from") == 0);
    far.ignore_pings(false);
    REQUIRE(link.becomes(Verdict::good));
    // Told once each: waiting, good, bad, returning, good.
    CHECK(link.changes.size() == 5);
}

TEST_CASE("a watched link survives its device") {
    LINKBAL_FAR_SIDE(far);
    Watched link(quick("192.0.2.9"), wan1());
    REQUIRE(link.becomes(Verdict::good));
    far.disconnect();
    REQUIRE(link.becomes(Verdict::bad));
    far.connect();
    REQUIRE(link.becomes(Verdict::good));
}

TEST_CASE("a change of path keeps what is known") {
    LINKBAL_FAR_SIDE(far);
    HealthConfig config;
    config.interval = 100ms;
    auto path = wan1();
    path.gateway = address("192.0.2.9");
    Watched link(config, path);
    REQUIRE(link.becomes(Verdict::good));
    path.gateway = address("192.0.2.10");
    path.source = address("192.0.2.1");
    REQUIRE(link.watch->set_path(path));
    CHECK(link.watch->path() == path);
    CHECK(link.watch->judgement().verdict == Verdict::good);
    far.ignore_pings(true);
    REQUIRE(link.becomes(Verdict::bad));
    CHECK(link.changes.back().reason.find("no answer from 192.0.2.10 for ") == 0);
    for (const auto& change : link.changes) {
        CHECK((change.verdict == Verdict::bad) == (&change == &link.changes.back()));
    }
    path.gateway.reset(); // nobody to ask: lost probes, not a crash
    REQUIRE(link.watch->set_path(path));
    CHECK(link.watch->judgement().verdict == Verdict::bad);
}

TEST_CASE("a link whose gateway is not known is good after the first patience") {
    LINKBAL_FAR_SIDE(far);
    HealthConfig config;
    config.timeout = 50ms;
    Watched link(config, wan1());
    REQUIRE(link.becomes(Verdict::good));
    CHECK(link.changes.back().reason ==
          "the gateway has never answered a probe: nothing to judge by");
}

TEST_CASE("passive evidence is asked for") {
    LINKBAL_FAR_SIDE(far);
    HealthConfig config;
    config.probe = GENERATE(ProbeKind::none, ProbeKind::icmp);
    config.targets = {{address("192.0.2.9"), 0, ""}};
    config.interval = std::chrono::hours(1);
    Watched link(config, wan1());
    REQUIRE(link.becomes(Verdict::good));
    link.evidence = {{}, true, "all connections die here", {}};
    link.watch->look();
    REQUIRE(link.becomes(Verdict::bad));
    CHECK(link.changes.back().reason == "all connections die here, next trial in 10 s");
}

TEST_CASE("a watch may be destroyed at any time") {
    LINKBAL_FAR_SIDE(far);
    asio::io_context context;
    std::optional<LinkWatch> watch;
    int changes = 0;
    const auto kind = GENERATE(ProbeKind::icmp, ProbeKind::tcp, ProbeKind::dns, ProbeKind::http);
    const auto server = far.serve(SOCK_STREAM, "192.0.2.9", 8053);
    HealthConfig config = quick("192.0.2.9");
    config.probe = kind;
    config.targets[0].port = 8053;
    const bool in_callback = GENERATE(true, false);
    auto started =
        LinkWatch::start(context, config, wan1(), {Verdict::good}, {}, [&](const Judgement&) {
            ++changes;
            if (in_callback) {
                watch.reset();
            }
        });
    REQUIRE(started);
    watch.emplace(*std::move(started));
    REQUIRE(run_until(context, [&] { return changes > 0; }));
    context.run_for(150ms); // a probe is out
    const int before = changes;
    watch.reset();
    context.restart();
    CHECK(context.run_for(300ms) < 20); // nothing goes on
    CHECK(changes == before);
}

TEST_CASE("a stall of the process does not make its probes come in a burst") {
    LINKBAL_FAR_SIDE(far);
    Watched link(quick("192.0.2.9"), wan1());
    REQUIRE(link.becomes(Verdict::good));
    const auto before = Clock::now();
    while (Clock::now() - before < 700ms) { // busy, and no sleep
    }
    link.context.restart();
    link.context.run_for(50ms);
    CHECK(link.changes.size() == 2); // waiting and good: nothing was held against the link
}
