// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>
#include <random>
#include <set>

#include "support/catch.h"

#include "core/buckets.h"
#include "core/spread.h"
#include "linkbal/abi.h"

using namespace linkbal;

namespace {

using Uplinks = std::vector<WeightedUplink>;

// Under sanitizers a round takes long: a tenth of them unless LINKBAL_LONG_TESTS=1 asks for all.
int rounds(int all) {
    const char* wanted = std::getenv("LINKBAL_LONG_TESTS");
    return wanted != nullptr && std::string_view(wanted) == "1" ? all : all / 10;
}

std::array<size_t, LB_UPLINK_IDS> shares(const BucketAssignment& assignment) {
    std::array<size_t, LB_UPLINK_IDS> counts{};
    std::ranges::for_each(assignment, [&](uint16_t id) { ++counts.at(id); });
    return counts;
}

// What no assignment with the shares of `after` can do without: everyone's gain must come to them.
size_t fewest_moves(const BucketAssignment& before, const BucketAssignment& after) {
    const auto had = shares(before);
    const auto has = shares(after);
    size_t moves = 0;
    for (size_t id = 1; id < LB_UPLINK_IDS; ++id) {
        moves += has.at(id) > had.at(id) ? has.at(id) - had.at(id) : 0;
    }
    return moves;
}

size_t equal_neighbours(const std::vector<uint16_t>& owners) {
    size_t equal = 0;
    for (size_t i = 0; i < owners.size(); ++i) {
        equal += owners[i] == owners[(i + 1) % owners.size()] ? 1 : 0;
    }
    return equal;
}

std::vector<uint16_t> owners_in_order(const BucketAssignment& assignment) {
    auto owners = interleave(assignment);
    std::ranges::transform(owners, owners.begin(), [&](uint16_t b) { return assignment[b]; });
    return owners;
}

Uplinks random_uplinks(std::mt19937& random) {
    Uplinks uplinks;
    const size_t count = 1 + random() % (random() % 4 == 0 ? 255 : 8);
    const uint32_t heaviest = std::array{1U, 10U, 1000U}[random() % 3];
    for (uint16_t id = 1; id <= 255 && uplinks.size() < count; ++id) {
        if (random() % 255 < count || count - uplinks.size() > 255U - id) {
            uplinks.push_back({id, 1 + static_cast<uint32_t>(random()) % heaviest});
        }
    }
    return uplinks;
}

bool is_permutation_of_buckets(std::vector<uint16_t> order) {
    std::ranges::sort(order);
    std::vector<uint16_t> all(LB_BUCKETS);
    std::iota(all.begin(), all.end(), uint16_t{0});
    return order == all;
}

} // namespace

TEST_CASE("shares follow the weights to within one bucket") {
    const Uplinks uplinks = {{1, 5}, {2, 3}, {9, 2}};
    CHECK(bucket_counts(uplinks) == std::vector<uint32_t>{32768, 19661, 13107});
    CHECK(bucket_counts(Uplinks{{1, 1}, {2, 1}}) == std::vector<uint32_t>{32768, 32768});
    CHECK(bucket_counts(Uplinks{{1, 3}, {2, 1}}) == std::vector<uint32_t>{49152, 16384});
    CHECK(bucket_counts(Uplinks{{1, 1}, {2, 1}, {3, 1}}) ==
          std::vector<uint32_t>{21846, 21845, 21845});
    const auto counts = shares(assign_buckets({}, uplinks));
    CHECK(counts[1] == 32768);
    CHECK(counts[2] == 19661);
    CHECK(counts[9] == 13107);
}

TEST_CASE("no weight, no buckets") {
    CHECK(assign_buckets({}, {}).empty());
    CHECK(assign_buckets({}, Uplinks{{1, 0}, {2, 0}}).empty());
    CHECK(interleave({}).empty());
    const auto some = assign_buckets({}, Uplinks{{1, 1}});
    CHECK(assign_buckets(some, Uplinks{{1, 0}}).empty());
    CHECK(moved(some, {}) == LB_BUCKETS);
    CHECK(moved({}, {}) == 0);
}

TEST_CASE("an uplink of weight 0 gives up all its buckets and gets none") {
    const auto counts = shares(assign_buckets({}, Uplinks{{1, 4}, {2, 0}, {3, 4}}));
    CHECK(counts[1] == 32768);
    CHECK(counts[2] == 0);
    CHECK(counts[3] == 32768);
}

TEST_CASE("every weight above 0 gets a bucket, however light") {
    Uplinks uplinks;
    for (uint16_t id = 1; id <= 255; ++id) {
        uplinks.push_back({id, id == 255 ? 1U : 1000U});
    }
    const auto counts = bucket_counts(uplinks);
    CHECK(counts.back() == 1);
    CHECK(std::accumulate(counts.begin(), counts.end(), 0U) == LB_BUCKETS);
    CHECK(*std::ranges::min_element(counts.begin(), counts.end() - 1) == 258);
    CHECK(*std::ranges::max_element(counts) == 259);
}

TEST_CASE("255 uplinks of extreme weights") {
    Uplinks uplinks;
    for (uint16_t id = 1; id <= 255; ++id) {
        uplinks.push_back({id, id % 2 == 0 ? 1000U : 1U});
    }
    const auto assignment = assign_buckets({}, uplinks);
    const auto counts = shares(assignment);
    CHECK(std::ranges::all_of(uplinks, [&](auto& u) { return counts.at(u.id) > 0; }));
    CHECK(is_permutation_of_buckets(interleave(assignment)));
    CHECK(equal_neighbours(owners_in_order(assignment)) == 0);
}

TEST_CASE("equal weights alternate exactly") {
    const auto assignment = assign_buckets({}, Uplinks{{1, 7}, {2, 7}});
    const auto owners = owners_in_order(assignment);
    for (size_t i = 0; i < owners.size(); ++i) {
        REQUIRE(owners[i] != owners[(i + 1) % owners.size()]);
    }
}

TEST_CASE("four equal uplinks come by in turn") {
    const auto owners =
        owners_in_order(assign_buckets({}, Uplinks{{1, 1}, {2, 1}, {3, 1}, {4, 1}}));
    for (size_t i = 0; i + 4 <= owners.size(); ++i) {
        REQUIRE(std::set(owners.begin() + static_cast<ptrdiff_t>(i),
                         owners.begin() + static_cast<ptrdiff_t>(i) + 4)
                    .size() == 4);
    }
}

TEST_CASE("the same weights again move nothing") {
    std::mt19937 random(1);
    for (int round = 0; round < rounds(20); ++round) {
        const auto uplinks = random_uplinks(random);
        const auto assignment = assign_buckets({}, uplinks);
        CHECK(assign_buckets(assignment, uplinks) == assignment);
    }
}

TEST_CASE("a removed uplink's buckets move and no others") {
    const auto before = assign_buckets({}, Uplinks{{1, 1}, {2, 1}, {3, 1}});
    const auto after = assign_buckets(before, Uplinks{{1, 1}, {3, 1}});
    CHECK(moved(before, after) == shares(before)[2]);
    const auto back = assign_buckets(after, Uplinks{{1, 1}, {2, 1}, {3, 1}});
    CHECK(moved(after, back) == shares(back)[2]);
}

TEST_CASE("property: changes of weights and links move the fewest buckets") {
    std::mt19937 random(20260101);
    BucketAssignment before;
    for (int round = 0; round < rounds(200); ++round) {
        const auto uplinks = random_uplinks(random);
        const auto after = assign_buckets(before, uplinks);
        const auto counts = shares(after);
        const auto wanted = bucket_counts(uplinks);
        for (size_t i = 0; i < uplinks.size(); ++i) {
            REQUIRE(counts.at(uplinks[i].id) == wanted[i]);
        }
        REQUIRE(moved(before, after) == fewest_moves(before, after));
        before = after;
    }
}

TEST_CASE("property: neighbours in the order differ as far as the weights allow") {
    std::mt19937 random(20260102);
    BucketAssignment before;
    for (int round = 0; round < rounds(60); ++round) {
        const auto uplinks = random_uplinks(random);
        before = assign_buckets(before, uplinks);
        const auto counts = bucket_counts(uplinks);
        const uint32_t most = *std::ranges::max_element(counts);
        const size_t forced = most > LB_BUCKETS - most ? 2 * most - LB_BUCKETS : 0;
        REQUIRE(is_permutation_of_buckets(interleave(before)));
        REQUIRE(equal_neighbours(owners_in_order(before)) == forced);
    }
}

TEST_CASE("property: in any run of the order each uplink has its share") {
    std::mt19937 random(20260103);
    for (int round = 0; round < rounds(20); ++round) {
        const auto uplinks = random_uplinks(random);
        const auto owners = owners_in_order(assign_buckets({}, uplinks));
        const auto counts = bucket_counts(uplinks);
        for (size_t i = 0; i < uplinks.size(); ++i) {
            double worst = 0;
            double seen = 0;
            for (size_t place = 0; place < owners.size(); ++place) {
                seen += owners[place] == uplinks[i].id ? 1 : 0;
                const double ideal = static_cast<double>(place + 1) * counts[i] / LB_BUCKETS;
                worst = std::max(worst, std::abs(seen - ideal));
            }
            // Ties are served by id, so with n uplinks one can be late by that many places.
            REQUIRE(worst < 3.0);
        }
    }
}
