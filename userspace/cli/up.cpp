// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/interrupts.h"
#include "cli/report.h"

namespace linkbal {

namespace {

int apply(Gateway& gateway, const Preparation& preparation) {
    if (!preparation.plan.empty() || preparation.to_remember) {
        if (const auto applied = gateway.apply(preparation, show_progress); !applied) {
            report(applied.error());
            return exit_failed;
        }
    }
    print("{}\n", up_summary(preparation.desired.uplinks.size(), preparation.plan.size()));
    return exit_done;
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
    int status = exit_done;
    const auto preparation = prepare(change->gateway, *config, options, status);
    if (preparation) {
        status = apply(change->gateway, *preparation);
    }
    return status;
}

} // namespace linkbal
