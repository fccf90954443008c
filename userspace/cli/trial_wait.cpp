// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/trial_wait.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <poll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "kernel/instance.h"

namespace linkbal {

namespace {

// Also those that a background job gets for speaking to its terminal.
void outlive_the_terminal() {
    for (const int signal : {SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU}) {
        std::signal(signal, SIG_IGN);
    }
}

// True: there was something.
bool drain(const Fd& file) {
    std::array<char, 4096> ignored{};
    bool any = false;
    while (::read(file.get(), ignored.data(), ignored.size()) > 0) {
        any = true;
    }
    return any;
}

int milliseconds_until(Time deadline) {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 3'600'000));
}

} // namespace

Result<TrialWait> TrialWait::open(const std::string& instance) {
    outlive_the_terminal();
    sigset_t interrupts;
    sigemptyset(&interrupts);
    for (const int signal : {SIGINT, SIGTERM, SIGQUIT}) {
        sigaddset(&interrupts, signal);
    }
    Fd signals(::signalfd(-1, &interrupts, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals) {
        return fail_errno(errno, "wait for signals");
    }
    Fd files(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    const std::string directory = run_directory(instance);
    if (!files || ::inotify_add_watch(files.get(), directory.c_str(),
                                      IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF) < 0) {
        return fail_errno(errno, fmt::format("watch {}", directory));
    }
    return TrialWait(std::move(signals), std::move(files));
}

TrialWait::Event TrialWait::wait_until(Time deadline) {
    for (;;) {
        std::array<pollfd, 2> ends{pollfd{signals_.get(), POLLIN, 0},
                                   pollfd{files_.get(), POLLIN, 0}};
        (void)::poll(ends.data(), ends.size(), milliseconds_until(deadline));
        if (drain(signals_)) {
            return Event::interrupted;
        }
        if (drain(files_)) {
            return Event::remembered;
        }
        if (Clock::now() >= deadline) {
            return Event::over;
        }
    }
}

} // namespace linkbal
