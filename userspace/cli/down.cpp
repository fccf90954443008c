// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/interrupts.h"
#include "cli/report.h"

#include "kernel/instance.h"
#include "kernel/privileges.h"

namespace linkbal {

int run_down(const Options& options) {
    if (const auto allowed = require_capabilities("linkbal down"); !allowed) {
        report(allowed.error());
        return exit_failed;
    }
    const InterruptsHeld held;
    const auto lock = InstanceLock::acquire(options.instance, lock_patience);
    auto gateway =
        lock ? Gateway::open(options.instance) : Result<Gateway>(tl::unexpected(lock.error()));
    if (!gateway) {
        report(gateway.error());
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
