// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's connection tracking table, through ctnetlink; IPv4 and IPv6 together, of the network
// namespace of the calling thread. Needs CAP_NET_ADMIN.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "core/address.h"
#include "util/result.h"

namespace linkbal {

// Connections by `mark & mask`, connections without any of these bits under 0. One pass over the
// kernel's table, nothing is stored per entry. The table lives while it is read: a connection that
// begins or ends meanwhile may or may not be counted.
Result<std::map<uint32_t, uint64_t>> count_by_mark(uint32_t mask);

// Deletes every connection, of one family or of both, whose `mark & mask` is `mark`, in one request.
// `mark` must lie within `mask`, and `mask` must not be 0: that would be every connection of the machine.
Status delete_by_mark(uint32_t mark, uint32_t mask, std::optional<Family> family = std::nullopt);

} // namespace linkbal
