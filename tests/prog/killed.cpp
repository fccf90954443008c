// SPDX-License-Identifier: GPL-2.0-or-later
#include "killed.h"

#include <csignal>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.h"

namespace linkbal::test {

bool killed_at(int stop, const std::function<void()>& work) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        (void)raise(SIGSTOP);
        work();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    for (int i = 0; i <= stop && WIFSTOPPED(status); ++i) {
        REQUIRE(ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0);
        REQUIRE(waitpid(child, &status, 0) == child);
    }
    if (!WIFSTOPPED(status)) {
        return false;
    }
    (void)kill(child, SIGKILL);
    REQUIRE(waitpid(child, &status, 0) == child);
    return true;
}

} // namespace linkbal::test
