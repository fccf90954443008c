// SPDX-License-Identifier: GPL-2.0-or-later
// The maps that the map of maps `buckets` holds, one of each family. The kernel opens a map by its id
// for CAP_SYS_ADMIN only, so each has a pin beside the outer map's:
//
//   buckets_ipv4, buckets_ipv6   what `buckets` holds
//   buckets_ipv4~ ...            what it was to hold next, or holds since a moment ago
//
// The outer map says which of the two counts: it is switched in between.
#pragma once

#include <array>
#include <string>

#include "core/gateway_state.h"
#include "linkbal/abi.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// By family; invalid where the outer map holds none, or where it can't be opened.
using InnerMaps = std::array<Fd, LB_FAMILIES>;

// `directory` is the instance's. What former versions have not pinned is opened by its id, where
// that is allowed.
Result<InnerMaps> open_inner_maps(const std::string& directory, const Fd& buckets);
// False if the outer map holds one that could not be opened.
Result<bool> has_all_inner_maps(const InnerMaps& inner, const Fd& buckets);
// Before the outer map gets this one.
Status stage_inner_map(const std::string& directory, Family family, const Fd& inner);
// After that, or after a process that was killed: one pin for what the outer map holds, none else.
Status settle_inner_maps(const std::string& directory, const Fd& buckets);
Status unpin_inner_maps(const std::string& directory);

// Switches the family over in one step; an empty assignment leaves it without buckets.
Status write_buckets(const std::string& directory, const Fd& buckets, Family family,
                     const BucketAssignment& assignment);
// Empty where there is no map.
Result<BucketAssignment> read_buckets(const Fd& inner);

} // namespace linkbal
