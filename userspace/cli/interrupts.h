// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <csignal>
#include <initializer_list>

namespace linkbal {

// While it lives, signals of terminals and service managers wait: an interrupted change is finished
// or undone, not left in the middle. (After SIGKILL the next `up` or `down` mends what was left.)
// SIGPIPE is ignored for good: a reader that is gone (`linkbal -v up 2>&1 | head`) costs the rest of
// the words and nothing else. Held, it would end the process after the last step.
class InterruptsHeld {
  public:
    InterruptsHeld() {
        std::signal(SIGPIPE, SIG_IGN);
        sigset_t signals;
        sigemptyset(&signals);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) {
            sigaddset(&signals, signal);
        }
        sigprocmask(SIG_BLOCK, &signals, &former_);
    }
    ~InterruptsHeld() { sigprocmask(SIG_SETMASK, &former_, nullptr); }
    InterruptsHeld(const InterruptsHeld&) = delete;
    InterruptsHeld& operator=(const InterruptsHeld&) = delete;

  private:
    sigset_t former_{};
};

} // namespace linkbal
