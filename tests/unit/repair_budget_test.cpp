// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/repair_budget.h"

#include "support/catch.h"

using namespace linkbal;
using namespace std::chrono_literals;

namespace {

const Time start = Time(std::chrono::hours(1000));

int taken(RepairBudget& budget, Time now) {
    int count = 0;
    while (count < 100 && budget.take(now)) {
        ++count;
    }
    return count;
}

} // namespace

TEST_CASE("five repairs at once, then one every ten seconds") {
    RepairBudget budget;
    CHECK(taken(budget, start) == 5);
    CHECK(budget.next() == start + 10s);
    CHECK(taken(budget, start + 9999ms) == 0);
    CHECK(budget.next() == start + 10s); // to ask in vain costs nothing
    CHECK(taken(budget, start + 10s) == 1);
    CHECK(budget.next() == start + 20s);
    CHECK(taken(budget, start + 19s) == 0);
    CHECK(taken(budget, start + 25s) == 1);
    CHECK(budget.next() == start + 30s); // half of the next one is earned already
    CHECK(taken(budget, start + 30s) == 1);
}

TEST_CASE("whoever waits until next() gets a repair") {
    RepairBudget budget;
    Time now = start;
    for (int i = 0; i < 5; ++i, now += 1300ms) {
        CHECK(budget.take(now));
    }
    for (int i = 0; i < 100; ++i) {
        while (budget.take(now)) {
        }
        REQUIRE(budget.next() > now);
        REQUIRE(budget.next() <= now + 10s);
        now = budget.next();
        REQUIRE(budget.take(now));
    }
}

TEST_CASE("a pause earns back what was spent, and no more than that") {
    RepairBudget budget;
    CHECK(taken(budget, start) == 5);
    CHECK(taken(budget, start + 35s) == 3);
    CHECK(taken(budget, start + 40s) == 1); // five seconds were left over
    CHECK(taken(budget, start + 24h) == 5);
    CHECK(budget.next() == start + 24h + 10s);
    CHECK(taken(budget, start + 24h + 10s) == 1);
}

TEST_CASE("a budget that was hardly touched is full after a pause") {
    RepairBudget budget;
    CHECK(budget.take(start));
    CHECK(taken(budget, start + std::chrono::hours(24 * 365 * 50)) == 5);
    RepairBudget other;
    CHECK(other.take(start));
    CHECK(taken(other, start + 9s) == 4);
    CHECK(other.next() == start + 10s); // earned since the first one
}

TEST_CASE("the clock may begin anywhere") {
    RepairBudget budget;
    CHECK(taken(budget, Time{}) == 5);
    CHECK(budget.next() == Time{} + 10s);
    CHECK(taken(budget, Time{} + 10s) == 1);
}
