// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string_view>

#include "util/result.h"

namespace linkbal::test {

struct ConntrackEntry {
    std::string_view source;
    std::string_view destination;
    uint8_t protocol;
    uint16_t source_port = 40000;
    uint16_t destination_port = 443;
    uint32_t mark = 0;
    // The source as the other end sees it; empty: as it is.
    std::string_view nat_source{};
    uint16_t nat_port = 0;
};

// Makes conntrack know a connection that never was.
Status add_conntrack(const ConntrackEntry& entry);

} // namespace linkbal::test
