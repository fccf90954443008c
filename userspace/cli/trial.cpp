// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/trial.h"

#include <cstdio>
#include <utility>

#include <spdlog/spdlog.h>

#include "cli/trial_wait.h"
#include "cli/up.h"
#include "core/confirmation.h"
#include "kernel/confirmation.h"

namespace linkbal {

namespace {

// Who is changing the instance is mostly through with it after that.
constexpr std::chrono::seconds lock_patience{2};
// When it could not go back, which must not be left at that.
constexpr std::chrono::seconds again_after{1};

enum class End : uint8_t { waits, confirmed, removed, returned, failed };

// What has become of it, by somebody else's doing.
End look(const std::string& instance) {
    const auto memory = read_memory(instance);
    if (!memory || memory->unconfirmed) {
        return End::waits;
    }
    return memory->applied ? End::confirmed : End::removed;
}

End return_now(Gateway& gateway) {
    const auto lock = InstanceLock::acquire(gateway.instance(), lock_patience);
    if (!lock) {
        report(lock.error());
        return End::failed;
    }
    // It may have been confirmed at the last moment.
    if (const End end = look(gateway.instance()); end != End::waits) {
        return end;
    }
    const auto done = go_back(gateway, show_progress);
    if (!done) {
        report(done.error().within("go back to what was there before"));
    }
    return done ? End::returned : End::failed;
}

// A signal ends the time; only a second one ends a way back that fails again and again.
End wait_for_the_end(Gateway& gateway, TrialWait& wait, Time deadline) {
    bool interrupted = false;
    for (;;) {
        const auto event = wait.wait_until(deadline);
        if (event == TrialWait::Event::interrupted && std::exchange(interrupted, true)) {
            return End::failed;
        }
        const End end =
            event == TrialWait::Event::remembered ? look(gateway.instance()) : return_now(gateway);
        if (end == End::failed) {
            deadline = Clock::now() + again_after;
        } else if (end != End::waits) {
            return end;
        }
    }
}

int tell(End end) {
    switch (end) {
    case End::confirmed:
        print("confirmed\n");
        return exit_done;
    case End::removed:
        print_to(stderr, "linkbal: `linkbal down` has removed everything\n");
        break;
    case End::returned:
        print_to(stderr, "linkbal: nobody has confirmed the change: all is as it was before\n");
        break;
    case End::waits:
    case End::failed:
        print_to(stderr, "linkbal: the change is still there: the next command that changes "
                         "something takes it back\n");
        break;
    }
    return exit_failed;
}

// Nothing of the wait stays; below /run not even the directory, if nothing else is there.
void clean_up(const std::string& instance, LockFile& waiting) {
    waiting.remove();
    (void)InstanceLock::acquire(instance, std::chrono::seconds(1));
}

// Of the time to confirm nothing is spent on applying, unless that can't be noted: then `confirm` and
// we have the time from before.
Time start_clock(const Options& options, Time limit) {
    const Time deadline = Clock::now() + std::chrono::seconds(options.confirm);
    const auto started = restart_trial(options.instance, deadline);
    if (!started) {
        report(Error{started.error()}.within("the time to confirm runs since before the change"));
    }
    return started ? deadline : limit;
}

// What has come of applying it; then the time runs.
Result<Time> apply_on_trial(Gateway& gateway, const Config& config, const Options& options,
                            int& status) {
    const Time limit = Clock::now() + std::chrono::seconds(options.confirm);
    if (const auto begun = begin_trial(options.instance, config.source.text, limit); !begun) {
        status = exit_failed;
        return tl::unexpected(begun.error());
    }
    status = bring_up(gateway, config, options);
    if (status == exit_done) {
        return start_clock(options, limit);
    }
    const auto ended = end_trial(options.instance);
    return ended ? Result<Time>(limit) : tl::unexpected(ended.error());
}

} // namespace

bool clear_of_trials(Gateway& gateway) {
    const auto memory = gateway.memory();
    if (!memory) {
        report(memory.error());
        return false;
    }
    if (!memory->unconfirmed) {
        return true;
    }
    if (const auto process = waiting_process(gateway.instance())) {
        print_to(stderr, "linkbal: {}\n",
                 waiting_words(*memory->unconfirmed, Clock::now(), *process));
        return false;
    }
    spdlog::warn("a change was not confirmed, and the process that waited for it was killed: going "
                 "back to what was there before");
    const auto done = go_back(gateway, show_progress);
    if (!done) {
        report(done.error());
    }
    return done.has_value();
}

int up_on_trial(Change change, const Config& config, const Options& options) {
    std::optional<Change> held(std::move(change));
    auto waiting = lock_for_waiting(options.instance);
    auto wait = waiting ? TrialWait::open(options.instance) : tl::unexpected(waiting.error());
    if (!wait) {
        report(wait.error());
        if (waiting) {
            waiting->remove();
        }
        return exit_failed;
    }
    int status = exit_done;
    const auto deadline = apply_on_trial(held->gateway, config, options, status);
    if (!deadline || status != exit_done) {
        if (!deadline) {
            report(deadline.error());
        }
        waiting->remove();
        return status == exit_done ? exit_failed : status;
    }
    print("{}\n", trial_summary(options.confirm));
    (void)std::fflush(stdout);
    Gateway gateway = std::move(held->gateway);
    held.reset(); // the lock: `linkbal confirm` needs it
    const End end = wait_for_the_end(gateway, *wait, *deadline);
    clean_up(options.instance, *waiting);
    return tell(end);
}

} // namespace linkbal
