// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/interrupts.h"
#include "cli/report.h"

namespace linkbal {

int run_down(const Options& options) {
    const InterruptsHeld held;
    if (!is_allowed("linkbal down")) {
        return exit_failed;
    }
    if (const auto done = through_daemon(options, RemoveRequest{})) {
        return *done;
    }
    auto change = begin_change("linkbal down", options);
    if (!change) {
        return exit_failed;
    }
    const auto removed = change->gateway.remove(show_progress);
    if (!removed) {
        report(removed.error());
        return exit_failed;
    }
    print("{}\n", *removed ? "down" : "nothing to do");
    return exit_done;
}

} // namespace linkbal
