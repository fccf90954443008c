// SPDX-License-Identifier: GPL-2.0-or-later
// Who owns which bucket (include/linkbal/abi.h), as functions of values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/gateway_state.h"

namespace linkbal {

struct WeightedUplink {
    uint16_t id; // 1 to 255, each at most once
    uint32_t weight;
};

// How many of the LB_BUCKETS buckets each uplink gets, in the order of `uplinks`: largest remainder
// (Hamilton's method), but at least one for every weight above 0. All zero if no weight is above 0.
std::vector<uint32_t> bucket_counts(std::span<const WeightedUplink> uplinks);

// The assignment for these weights that takes the fewest buckets from their owners in `previous`,
// which is what a sticky connection's successor notices. An empty `previous` has no owners. Empty
// if no weight is above 0.
BucketAssignment assign_buckets(const BucketAssignment& previous,
                                std::span<const WeightedUplink> uplinks);

// The permutation `order` of struct lb_buckets: position -> bucket. Neighbours, the last and the
// first included, belong to different uplinks unless one has more than half of all, and every
// uplink comes by at even distances.
std::vector<uint16_t> interleave(const BucketAssignment& assignment);

// Buckets whose owner differs; an empty assignment has none.
size_t moved(const BucketAssignment& before, const BucketAssignment& after);

} // namespace linkbal
