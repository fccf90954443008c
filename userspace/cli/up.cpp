// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/up.h"

#include "cli/interrupts.h"
#include "cli/session_warning.h"
#include "cli/trial.h"

namespace linkbal {

namespace {

Status apply(Gateway& gateway, const Preparation& preparation) {
    const bool anything = !preparation.plan.empty() || preparation.to_remember;
    return anything ? gateway.apply(preparation, show_progress) : Status();
}

// Empty: there is no daemon.
std::optional<int> apply_through_daemon(const Options& options) {
    auto request = apply_request(options);
    if (request) {
        request->confirm = options.confirm;
    }
    return request ? through_daemon(options, *request) : std::optional(exit_usage);
}

} // namespace

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

void add_up_options(CLI::App& app, Options& options) {
    app.add_option(
           "--confirm", options.confirm,
           "seconds after which all is as before again, unless `linkbal confirm` comes first")
        ->check(CLI::Range(1U, longest_trial));
}

int run_up(const Options& options) {
    const auto config = read_configuration(options);
    if (!config) {
        return exit_usage;
    }
    const InterruptsHeld held;
    if (!is_allowed("linkbal up")) {
        return exit_failed;
    }
    warn_of_lockout(*config);
    if (const auto done = apply_through_daemon(options)) {
        return *done;
    }
    auto change = begin_change("linkbal up", options);
    if (!change) {
        return exit_failed;
    }
    if (!clear_of_trials(change->gateway)) {
        return exit_failed;
    }
    return options.confirm != 0 ? up_on_trial(*std::move(change), *config, options)
                                : bring_up(change->gateway, *config, options);
}

} // namespace linkbal
