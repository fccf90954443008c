// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/interrupts.h"
#include "cli/report.h"

#include "kernel/instance.h"

namespace linkbal {

namespace {

int apply(Gateway& gateway, const Preparation& preparation) {
    if (preparation.plan.empty()) {
        print("nothing to do\n");
        return exit_done;
    }
    const auto applied = gateway.apply(preparation, show_progress);
    if (!applied) {
        report(applied.error());
        return exit_failed;
    }
    print("up: {} uplinks, {} changes\n", preparation.desired.uplinks.size(),
          preparation.plan.size());
    return exit_done;
}

} // namespace

int run_up(const Options& options) {
    const auto config = read_configuration(options);
    if (!config) {
        return exit_usage;
    }
    if (!is_allowed("linkbal up")) {
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
    int status = exit_done;
    const auto preparation = prepare(*gateway, *config, options, status);
    if (preparation) {
        status = apply(*gateway, *preparation);
    }
    return status;
}

} // namespace linkbal
