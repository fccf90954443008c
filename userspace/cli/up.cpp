// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/interrupts.h"
#include "cli/report.h"

namespace linkbal {

namespace {

Status apply(Gateway& gateway, const Preparation& preparation) {
    const bool anything = !preparation.plan.empty() || preparation.to_remember;
    return anything ? gateway.apply(preparation, show_progress) : Status();
}

// Again for each device that would not have XDP, which is known only when it is asked.
int bring_up(Gateway& gateway, const Config& config, const Options& options) {
    for (;;) {
        int status = exit_done;
        const auto preparation = prepare(gateway, config, options, status);
        if (!preparation) {
            return status;
        }
        const auto applied = apply(gateway, *preparation);
        if (applied) {
            print("{}\n",
                  up_summary(preparation->desired.uplinks.size(), preparation->plan.size()));
            return exit_done;
        }
        if (!gateway.take_xdp_refusal()) {
            report(applied.error());
            return exit_failed;
        }
    }
}

// Empty: there is no daemon.
std::optional<int> apply_through_daemon(const Options& options) {
    const auto request = apply_request(options);
    return request ? through_daemon(options, *request) : std::optional(exit_usage);
}

} // namespace

int run_up(const Options& options) {
    const auto config = read_configuration(options);
    if (!config) {
        return exit_usage;
    }
    const InterruptsHeld held;
    if (!is_allowed("linkbal up")) {
        return exit_failed;
    }
    if (const auto done = apply_through_daemon(options)) {
        return *done;
    }
    auto change = begin_change("linkbal up", options);
    if (!change) {
        return exit_failed;
    }
    return bring_up(change->gateway, *config, options);
}

} // namespace linkbal
