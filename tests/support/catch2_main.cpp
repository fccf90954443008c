// SPDX-License-Identifier: GPL-2.0-or-later
#define CATCH_CONFIG_RUNNER
#include "support/catch.h"

int main(int argc, char** argv) {
    constexpr int skipped_status = 4; // Catch2 3's, and SKIP_RETURN_CODE in tests/CMakeLists.txt
    const int status = Catch::Session().run(argc, argv);
    if (status != 0) {
        return 1; // not version 2's number of failures: four would be taken for a skip
    }
    return linkbal::test::skipped ? skipped_status : 0;
}
