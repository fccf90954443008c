// SPDX-License-Identifier: GPL-2.0-or-later
// Settings with which every program loads, and without a fast path.
#pragma once

#include "linkbal/abi.h"

namespace linkbal::test {

inline lb_settings plain_settings(uint64_t object_id) {
    lb_settings settings{};
    settings.object_id = object_id;
    settings.abi_version = LB_ABI_VERSION;
    settings.mark_mask = 0x00ff0000;
    settings.mark_shift = 16;
    settings.has_conntrack = 1;
    settings.flow_buckets[LB_IPV4] = settings.flow_buckets[LB_IPV6] = 1;
    settings.ticks_per_second = 15;
    settings.tag = 1;
    settings.tick_shift = 6;
    return settings;
}

} // namespace linkbal::test
