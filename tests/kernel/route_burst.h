// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include <fmt/format.h>

#include "two_links.h"

namespace linkbal::test {

// So many routes at once that a reader of events who sleeps meanwhile can't have them all.
inline void add_routes(int count) {
    std::string batch;
    for (int i = 0; i < count; ++i) {
        batch += fmt::format("route add 10.{}.{}.0/24 dev lo\n", i / 256, i % 256);
    }
    const auto outcome = run({"ip", "-batch", "-"}, batch);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
}

} // namespace linkbal::test
