// SPDX-License-Identifier: GPL-2.0-or-later
// Changes that go back unless they are confirmed, with a daemon.
#include "daemon/daemon.h"

#include <spdlog/spdlog.h>

#include "core/config_file.h"
#include "core/confirmation.h"
#include "daemon/refusal.h"
#include "kernel/instance.h"

namespace linkbal {

// What nobody has confirmed before the process ended that kept the time is not taken over, nor is it
// applied because it is in our file.
Status Daemon::find_trial() {
    const auto memory = reconciler_.memory();
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    if (const auto process = waiting_process(options_.instance); process && memory->unconfirmed) {
        return fail("{}", waiting_words(*memory->unconfirmed, Clock::now(), *process));
    }
    if (const auto instead = in_place_of(config_.source.text, *memory)) {
        auto config = accept_config(instead->text, instead->file);
        if (!config) {
            return fail("{}", config.error().front().str());
        }
        config_ = *std::move(config);
        hooks_.reconfigure(config_.hooks);
        spdlog::warn(
            "{}: nobody has confirmed this configuration: the one before goes on; to use it, "
            "reload, or run `linkbal up`",
            options_.file);
    }
    return memory->unconfirmed ? take_back(*memory->unconfirmed) : Status();
}

// The first pass does the rest.
Status Daemon::take_back(const Unconfirmed& change) {
    spdlog::warn("a change was not confirmed, and the process that waited for it was killed: going "
                 "back to what was there before");
    if (change.former) {
        const auto begun = trial_.return_to();
        return begun ? Status() : tl::unexpected(begun.error());
    }
    const auto removed = reconciler_.remove();
    return removed ? Status() : tl::unexpected(removed.error());
}

Answer Daemon::apply_on_trial(const Config& config, const ApplyRequest& request) {
    if (const auto begun = trial_.begin(request.text, request.confirm); !begun) {
        return refused(begun.error().message);
    }
    Answer answer = apply(config, request);
    if (answer.exit != exit_done) {
        log_unnoted(trial_.end());
        return answer;
    }
    log_unnoted(trial_.made(request.confirm)); // else the time is that from before
    answer.output.push_back(trial_summary(request.confirm));
    return answer;
}

Answer Daemon::confirm() {
    if (!trial_.waits()) {
        return refused(fmt::format("{}", nothing_to_confirm));
    }
    if (gives_up_) {
        return refused("too late: the daemon is ending, and going back to what was there before");
    }
    if (const auto ended = trial_.end(); !ended) {
        return refused(ended.error().message);
    }
    spdlog::info("the change is confirmed");
    return {.output = {"confirmed"}};
}

// To what was at work before; until it has worked it is tried again.
bool Daemon::go_back() {
    const auto config = trial_.return_to();
    const auto done =
        config ? change_to(*config, config->source.file, Reconciler::Occasion::going_back)
               : Outcome(tl::unexpected(Refusal{.mistakes = {}, .error = config.error()}));
    const auto noted = done ? trial_.returned() : Status();
    if (!done) {
        for (const std::string& line : lines_of(done.error())) {
            spdlog::error("go back to what was there before: {}", line);
        }
        trial_.try_again();
    } else {
        spdlog::warn("nobody has confirmed the change: all is as it was before");
        log_unnoted(noted);
    }
    return done.has_value();
}

// The time is over, or the daemon is to end, which waits for this: nobody would keep the time then.
void Daemon::end_trial() {
    const bool back = go_back();
    if (!gives_up_) {
        return;
    }
    if (!back && Clock::now() < *gives_up_) {
        return; // again soon
    }
    if (!back) {
        give_up();
    }
    stop();
}

// It is still remembered, so that the next start does it.
void Daemon::give_up() {
    removal_ = fail("the change on trial is still there: the next start goes back");
}

} // namespace linkbal
