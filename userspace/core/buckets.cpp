// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/buckets.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <numeric>

#include "core/spread.h"
#include "linkbal/abi.h"

namespace linkbal {

namespace {

// By uplink id.
using Counts = std::array<uint32_t, LB_UPLINK_IDS>;

// Uplinks whose proportional share is less than one bucket get one; taking them out makes the
// others' shares smaller, so it is asked again until none is left.
std::vector<bool> below_one(std::span<const WeightedUplink> uplinks, uint64_t& buckets,
                            uint64_t& weights) {
    std::vector<bool> small(uplinks.size(), false);
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < uplinks.size(); ++i) {
            const uint64_t weight = uplinks[i].weight;
            if (weight == 0 || small[i] || weight * buckets >= weights) {
                continue;
            }
            small[i] = again = true;
            --buckets;
            weights -= weight;
        }
    }
    return small;
}

Counts owned(const BucketAssignment& assignment) {
    Counts counts{};
    for (const uint16_t id : assignment) {
        ++counts.at(id);
    }
    return counts;
}

Counts targets(std::span<const WeightedUplink> uplinks) {
    Counts counts{};
    const auto wanted = bucket_counts(uplinks);
    for (size_t i = 0; i < uplinks.size(); ++i) {
        counts.at(uplinks[i].id) = wanted[i];
    }
    return counts;
}

// What each uplink has more in `a` than in `b`.
std::vector<uint32_t> excess(const Counts& a, const Counts& b) {
    std::vector<uint32_t> counts(a.size());
    std::ranges::transform(a, b, counts.begin(), [](uint32_t more, uint32_t less) {
        return more - std::min(more, less);
    });
    return counts;
}

// Buckets that change hands, ascending: of an owner's `has` buckets, `gives` at even distances.
std::vector<size_t> released(const BucketAssignment& assignment, const Counts& has,
                             std::span<const uint32_t> gives) {
    std::vector<size_t> buckets;
    Counts seen{};
    for (size_t bucket = 0; bucket < assignment.size(); ++bucket) {
        const uint16_t id = assignment[bucket];
        const uint64_t index = seen.at(id)++;
        if ((index + 1) * gives[id] / has.at(id) != index * gives[id] / has.at(id)) {
            buckets.push_back(bucket);
        }
    }
    return buckets;
}

} // namespace

std::vector<uint32_t> bucket_counts(std::span<const WeightedUplink> uplinks) {
    std::vector<uint32_t> counts(uplinks.size(), 0);
    uint64_t weights =
        std::accumulate(uplinks.begin(), uplinks.end(), uint64_t{0},
                        [](uint64_t sum, auto& uplink) { return sum + uplink.weight; });
    if (weights == 0) {
        return counts;
    }
    uint64_t buckets = LB_BUCKETS;
    const auto small = below_one(uplinks, buckets, weights);
    std::vector<size_t> shared;
    uint64_t left = buckets;
    for (size_t i = 0; i < uplinks.size(); ++i) {
        counts[i] = small[i] ? 1 : static_cast<uint32_t>(uplinks[i].weight * buckets / weights);
        if (!small[i] && uplinks[i].weight > 0) {
            shared.push_back(i);
            left -= counts[i];
        }
    }
    std::ranges::stable_sort(shared, std::ranges::greater{},
                             [&](size_t i) { return uplinks[i].weight * buckets % weights; });
    std::ranges::for_each(shared.begin(), shared.begin() + static_cast<ptrdiff_t>(left),
                          [&](size_t i) { ++counts[i]; });
    return counts;
}

BucketAssignment assign_buckets(const BucketAssignment& previous,
                                std::span<const WeightedUplink> uplinks) {
    const Counts wanted = targets(uplinks);
    if (std::accumulate(wanted.begin(), wanted.end(), 0U) == 0) {
        return {};
    }
    BucketAssignment assignment = previous;
    assignment.resize(LB_BUCKETS, LB_NO_UPLINK);
    const Counts has = owned(assignment);
    const auto free = released(assignment, has, excess(has, wanted));
    const auto takers = spread(excess(wanted, has));
    assert(free.size() == takers.size());
    for (size_t i = 0; i < free.size(); ++i) {
        assignment[free[i]] = takers[i];
    }
    return assignment;
}

std::vector<uint16_t> interleave(const BucketAssignment& assignment) {
    const Counts counts = owned(assignment);
    std::array<std::vector<uint16_t>, LB_UPLINK_IDS> buckets;
    for (size_t id = 0; id < buckets.size(); ++id) {
        buckets.at(id).reserve(counts.at(id));
    }
    for (size_t bucket = 0; bucket < assignment.size(); ++bucket) {
        buckets.at(assignment[bucket]).push_back(static_cast<uint16_t>(bucket));
    }
    std::vector<uint16_t> order = spread(counts);
    Counts used{};
    for (uint16_t& place : order) {
        const uint16_t id = place;
        place = buckets.at(id)[used.at(id)++];
    }
    return order;
}

size_t moved(const BucketAssignment& before, const BucketAssignment& after) {
    const size_t size = std::max(before.size(), after.size());
    const auto owner = [](const BucketAssignment& assignment, size_t bucket) {
        return bucket < assignment.size() ? assignment[bucket] : uint16_t{LB_NO_UPLINK};
    };
    size_t count = 0;
    for (size_t bucket = 0; bucket < size; ++bucket) {
        count += owner(before, bucket) != owner(after, bucket) ? 1 : 0;
    }
    return count;
}

} // namespace linkbal
