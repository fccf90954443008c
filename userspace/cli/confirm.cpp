// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/interrupts.h"
#include "cli/trial.h"
#include "core/confirmation.h"
#include "kernel/confirmation.h"

namespace linkbal {

namespace {

int confirm(Gateway& gateway) {
    const auto memory = gateway.memory();
    if (!memory) {
        report(memory.error());
        return exit_failed;
    }
    if (!memory->unconfirmed) {
        print_to(stderr, "linkbal: {}\n", nothing_to_confirm);
        return exit_failed;
    }
    if (memory->unconfirmed->returning ||
        time_left(*memory->unconfirmed, Clock::now()).count() == 0) {
        print_to(stderr, "linkbal: too late: it goes back to what was there before\n");
        // Who waits for it does that, unless it was killed.
        (void)(waiting_process(gateway.instance()) || clear_of_trials(gateway));
        return exit_failed;
    }
    if (const auto ended = end_trial(gateway.instance()); !ended) {
        report(ended.error());
        return exit_failed;
    }
    print("confirmed\n");
    return exit_done;
}

} // namespace

int run_confirm(const Options& options) {
    const InterruptsHeld held;
    if (!is_allowed("linkbal confirm")) {
        return exit_failed;
    }
    if (const auto done = through_daemon(options, ConfirmRequest{})) {
        return *done;
    }
    auto change = begin_change("linkbal confirm", options);
    return change ? confirm(change->gateway) : exit_failed;
}

} // namespace linkbal
