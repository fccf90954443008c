// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace linkbal {

// A sequence in which `kind` occurs counts[kind] times. The k-th of a kind stands near its ideal
// place (k + 0.5) * length / count, and the same kind does not stand twice in a row, seen as a
// circle, unless it is more than half of all. At most 65536 places.
std::vector<uint16_t> spread(std::span<const uint32_t> counts);

} // namespace linkbal
