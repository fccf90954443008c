// SPDX-License-Identifier: GPL-2.0-or-later
// Conntrack is emptied while very many connections are open.
#include <chrono>

#include "support/catch.h"
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "daemon/leases.h"
#include "flow_cache.h"
#include "kernel/conntrack.h"
#include "program.h"
#include "support/conntrack_entry.h"
#include "support/cpu_time.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

constexpr uint32_t mask = 0x00ff0000;

double ms(std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

} // namespace

TEST_CASE("100,000 connections that are flushed at once don't keep the daemon") {
    LINKBAL_OWN_NAMESPACE();
    constexpr size_t count = 100000;
    make_network();
    const FlowCache cache;
    asio::io_context context;
    Leases leases(context, cache.directory(), 0);
    leases.settle({.mark_mask = mask, .uplinks = {}}, false);
    // Conntrack makes events of what begins in a namespace only once it works there.
    REQUIRE(count_by_mark(mask));
    for (size_t i = 0; i < count; ++i) {
        REQUIRE(add_conntrack({.source = "192.0.2.9",
                               .destination = i % 2 == 0 ? "203.0.113.7" : "203.0.113.8",
                               .protocol = IPPROTO_TCP,
                               .source_port = static_cast<uint16_t>(10000 + (i / 2)),
                               .mark = 0x00010000}));
    }
    const uint32_t before = cache.epoch(1);
    const Time start = Clock::now();
    REQUIRE(delete_by_mark(0x00010000, mask));
    const auto flushed = Clock::now() - start;
    std::chrono::nanoseconds longest{};
    size_t turns = 0;
    const Time reading = Clock::now();
    while (true) {
        const size_t seen = leases.counts().wakeups;
        context.restart();
        const auto begin = cpu_time();
        context.poll_one();
        longest = std::max(longest, cpu_time() - begin);
        if (leases.counts().wakeups == seen) {
            break;
        }
        ++turns;
    }
    WARN(count << " connections flushed in " << ms(flushed) << " ms, told in " << turns
               << " turns and " << ms(Clock::now() - reading) << " ms, the longest took "
               << ms(longest) << " ms, epochs ended: " << cache.epoch(1) - before);
    CHECK(turns > 10);
    // Each connection is told of, or all flows end because some were not: the socket has room for half.
    constexpr size_t events_a_turn = 1024;
    CHECK((turns * events_a_turn >= count || cache.epoch(1) > before));
    CHECK(longest < 200ms);
}
