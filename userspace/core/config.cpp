// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config.h"

#include <algorithm>

namespace linkbal {

uint32_t active_tier(const Config& config) {
    const auto lowest = std::ranges::min_element(config.uplinks, {}, &UplinkConfig::tier);
    return lowest == config.uplinks.end() ? 0 : lowest->tier;
}

} // namespace linkbal
