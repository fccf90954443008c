// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/lease_ends.h"

#include "support/catch.h"

using namespace linkbal;
using namespace std::chrono_literals;

namespace {

const Time start = Time(std::chrono::hours(1000));
const EndedUplinks everything{.all = true, .ids = {}};

} // namespace

TEST_CASE("the first change counts at once") {
    LeaseEnds ends;
    CHECK_FALSE(ends.due());
    CHECK_FALSE(ends.take(start));
    ends.ask_all();
    REQUIRE(ends.due());
    CHECK(*ends.due() <= start);
    CHECK(ends.take(start) == everything);
    CHECK_FALSE(ends.take(start)); // once
}

TEST_CASE("the pause follows from the flows, within bounds") {
    const auto [flows, pause] = GENERATE(std::pair<size_t, Clock::duration>{0, 50ms},
                                         std::pair<size_t, Clock::duration>{800, 50ms},
                                         std::pair<size_t, Clock::duration>{10000, 600ms},
                                         std::pair<size_t, Clock::duration>{1000000, 60s},
                                         std::pair<size_t, Clock::duration>{SIZE_MAX, 60s});
    LeaseEnds ends;
    ends.ask_all();
    REQUIRE(ends.take(start));
    ends.done(start, flows);
    ends.ask_all();
    CHECK(ends.due() == start + pause);
    CHECK_FALSE(ends.take(start + pause - 1ns));
    CHECK(ends.take(start + pause));
}

TEST_CASE("what comes meanwhile is done together, and never forgotten") {
    LeaseEnds ends;
    ends.ask(1);
    CHECK(ends.take(start) == EndedUplinks{.all = false, .ids = {1}});
    ends.done(start, 10000);
    for (int i = 0; i < 1000; ++i) {
        ends.ask(2);
        ends.ask(3);
        CHECK_FALSE(ends.take(start + std::chrono::microseconds(i)));
    }
    CHECK(ends.take(start + 1h) == EndedUplinks{.all = false, .ids = {2, 3}});
    CHECK_FALSE(ends.due());
}

// The budget that the pause is for: 3 us a flow, a twentieth of a core.
TEST_CASE("a stream of changes takes a twentieth of a core") {
    constexpr size_t flows = 200000;
    LeaseEnds ends;
    size_t done = 0;
    for (Time now = start; now < start + 600s; now += 10ms) {
        ends.ask_all();
        if (ends.take(now)) {
            ends.done(now, flows);
            ++done;
        }
    }
    const double seconds = static_cast<double>(done) * flows * 3e-6;
    CHECK(seconds <= 600.0 / 20 + 1);
    CHECK(seconds > 600.0 / 20 - 2);
}

TEST_CASE("what failed is tried again, with what has come since") {
    LeaseEnds ends;
    ends.ask(1);
    ends.failed(start, *ends.take(start));
    ends.ask(2);
    CHECK_FALSE(ends.take(start + 59s));
    CHECK(ends.take(start + 60s) == EndedUplinks{.all = false, .ids = {1, 2}});
    ends.ask_all();
    ends.failed(start + 60s, *ends.take(start + 60s));
    CHECK(ends.take(start + 120s) == everything);
}
