// SPDX-License-Identifier: GPL-2.0-or-later
// Catch2, whichever of versions 2 and 3 there is. LINKBAL_SKIP(reason) ends a test case that this
// machine can't run: ctest then says "Skipped" rather than "Passed".
#pragma once

#if __has_include(<catch2/catch_all.hpp>)

#include <catch2/catch_all.hpp>

#define LINKBAL_SKIP(reason) SKIP(reason)

#else

#include <catch2/catch.hpp>

namespace linkbal::test {
// Version 2 knows no skip; tests/support/catch2_main.cpp turns this into version 3's exit status.
inline bool skipped = false;
} // namespace linkbal::test

#define LINKBAL_SKIP(reason)                                                                       \
    do {                                                                                           \
        WARN("skipped: " << (reason));                                                             \
        ::linkbal::test::skipped = true;                                                           \
        return;                                                                                    \
    } while (false)

#endif
