// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/interrupts.h"
#include "cli/report.h"

#include "kernel/instance.h"

namespace linkbal {

int run_down(const Options& options) {
    if (!is_allowed("linkbal down")) {
        return exit_failed;
    }
    const InterruptsHeld held;
    const auto lock = InstanceLock::acquire(options.instance, lock_patience);
    if (!lock) {
        report(lock.error());
        return exit_failed;
    }
    auto gateway = open_gateway(options);
    if (!gateway) {
        return exit_failed;
    }
    const auto removed = gateway->remove(show_progress);
    if (!removed) {
        report(removed.error());
        return exit_failed;
    }
    print("{}\n", *removed ? "down" : "nothing to do");
    return exit_done;
}

} // namespace linkbal
