// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <csignal>

namespace linkbal {

// How long a command waits for another one that is changing the same instance.
inline constexpr std::chrono::seconds lock_patience{10};

// While it lives, SIGINT, SIGTERM and SIGHUP wait: an interrupted change is finished or undone, not
// left in the middle. (After SIGKILL the next `up` or `down` mends what was left.)
class InterruptsHeld {
  public:
    InterruptsHeld() {
        sigset_t signals;
        sigemptyset(&signals);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
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
