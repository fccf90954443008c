// SPDX-License-Identifier: GPL-2.0-or-later
// Starting a command: what happens between fork() and exec().
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "core/config.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

using Environment = std::vector<std::pair<std::string, std::string>>;

struct ProcessSpec {
    CommandWords words;      // the program is looked for in PATH
    Environment environment; // beside ours
    std::chrono::milliseconds time_limit{60000};
    // Between SIGTERM and SIGKILL, both to the whole process group.
    std::chrono::milliseconds grace{2000};
    // A directory of cgroup 2 that the command is to join, or -1. Borrowed: open until it has started.
    int cgroup = -1;
    std::string title; // in front of the lines that it prints, in the log: "uplink velox1: log_in"
};

// A command on its way. It has its own process group, whose number is `pid`, no signal blocked, ignored
// or handled, an empty standard input, and no descriptor of ours.
struct Spawned {
    pid_t pid = 0;
    Fd pidfd;   // readable when it has ended
    Fd output;  // what it prints, non-blocking
    Fd failure; // non-blocking; see start_failure()
};

Result<Spawned> spawn(const ProcessSpec& command);

// Why the command never ran, to be asked once it has ended; an empty message: it did run.
Error start_failure(const Fd& failure);

} // namespace linkbal
