// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/process.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "captured_log.h"
#include "daemon/output_lines.h"
#include "loop.h"
#include "util/file.h"
#include "util/pidfd.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;
using End = ProcessResult::End;

namespace {

ProcessSpec program(CommandWords words, int cgroup = -1) {
    ProcessSpec command;
    command.words = std::move(words);
    command.time_limit = 20s;
    command.grace = 300ms;
    command.cgroup = cgroup;
    command.title = "cmd";
    return command;
}

ProcessSpec shell(const std::string& script, std::chrono::milliseconds limit = 20s) {
    ProcessSpec command = program({"sh", "-c", script});
    command.time_limit = limit;
    return command;
}

struct Loop {
    asio::io_context context;
    Processes processes{context};
    CapturedLog log;

    ProcessResult run(ProcessSpec command) {
        return run_until_done(context, processes.run(std::move(command)));
    }
};

// A process that prints its number, seen from outside.
struct Witness {
    Fd pidfd;
    explicit Witness(const std::string& number)
        : pidfd(pidfd_open(static_cast<pid_t>(std::stoi(number)), 0)) {}
    [[nodiscard]] bool ends() const {
        pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
        return !pidfd || poll(&end, 1, 10000) == 1;
    }
    [[nodiscard]] bool lives() const {
        pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
        return pidfd && poll(&end, 1, 0) == 0;
    }
    void end() const { REQUIRE(pidfd_send_signal(pidfd.get(), SIGKILL, nullptr, 0) == 0); }
};

} // namespace

TEST_CASE("a command's exit status, last line and log") {
    Loop loop;
    const auto good = loop.run(shell("echo one; echo two >&2"));
    CHECK(good.succeeded());
    CHECK(good.last_line == "two");
    CHECK(loop.log.text() == "info: cmd: one\ninfo: cmd: two\n");

    const auto bad = loop.run(shell("echo no such account; exit 3"));
    CHECK(!bad.succeeded());
    CHECK(bad.describe() == "exit status 3: no such account");

    const auto killed = loop.run(shell("kill -SEGV $$"));
    CHECK(killed.end == End::signalled);
    CHECK(killed.describe() == "killed by signal 11 (Segmentation fault)");
}

TEST_CASE("words go to the program as they are, and the environment with them") {
    Loop loop;
    CHECK(loop.run(program({"printf", "%s|", "a b", "$HOME", "*", ""})).last_line ==
          "a b|$HOME|*||");

    setenv("NOTIFY_SOCKET", "/run/none", 1);
    setenv("KEPT", "kept", 1);
    setenv("GIVEN", "ours", 1);
    auto environment = shell("echo $KEPT $GIVEN $NOTIFY_SOCKET.");
    environment.environment = {{"GIVEN", "theirs"}};
    CHECK(loop.run(std::move(environment)).last_line == "kept theirs .");
    unsetenv("NOTIFY_SOCKET");
    unsetenv("KEPT");
    unsetenv("GIVEN");
}

TEST_CASE("a command that can't be run is reported in the kernel's words") {
    Loop loop;
    const auto missing = loop.run(program({"/nowhere/command"}));
    CHECK(missing.end == End::not_started);
    CHECK(missing.describe() == "exec: No such file or directory");
    CHECK(loop.run(program({"/"})).describe() == "exec: Permission denied");
    CHECK(loop.run(program({})).describe() == "no command");
    CHECK(loop.run(program({"true"}, STDIN_FILENO)).describe().starts_with("joining its cgroup: "));
}

TEST_CASE("a command starts with nothing of ours") {
    Loop loop;
    // Inherited by a careless caller: neither close-on-exec nor a standard stream.
    const Fd inherited(open("/dev/null", O_RDONLY));
    REQUIRE(inherited);
    const auto former = signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    sigset_t former_mask;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &former_mask);
    const auto signals = loop.run(shell(
        "grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\t\\n'; readlink /proc/self/fd/0"));
    const auto descriptors = loop.run(shell("exec ls /proc/self/fd | tr '\\n' ' '"));
    const auto group = loop.run(shell("set -- $(cat /proc/self/stat); test $5 = $$ && echo own"));
    sigprocmask(SIG_SETMASK, &former_mask, nullptr);
    (void)signal(SIGPIPE, former);
    CHECK(signals.last_line == "SigBlk:0000000000000000SigIgn:0000000000000000/dev/null");
    CHECK(descriptors.last_line == "0 1 2 3"); // 3 is the directory that ls reads
    CHECK(group.last_line == "own");
}

TEST_CASE("a command that hangs is ended with its whole group") {
    Loop loop;
    const auto begin = std::chrono::steady_clock::now();
    const auto result = loop.run(shell("sleep 1000 & echo $!; wait", 100ms));
    CHECK(result.end == End::timed_out);
    CHECK(result.describe().starts_with("not done after 0.1 s: "));
    CHECK(Witness(result.last_line).ends());
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("who ignores SIGTERM is killed after the grace") {
    Loop loop;
    const auto result = loop.run(shell(
        "trap '' TERM; (while :; do sleep 1000; done) & echo $!; while :; do sleep 1000; done",
        100ms));
    CHECK(result.end == End::timed_out);
    CHECK(Witness(result.last_line).ends());
}

TEST_CASE("the group has its grace though the command itself ends at once") {
    Loop loop;
    const auto path = std::filesystem::temp_directory_path() /
                      fmt::format("linkbal-grace-{}", static_cast<int>(getpid()));
    // The child has something to clean up, which it does when it sees that its parent has ended.
    auto command =
        shell(fmt::format("me=$$; (trap 'until grep -q \"^State:.Z\" /proc/$me/status; do :; "
                          "done; echo cleaned >{}; exit' TERM; echo ready; "
                          "while :; do :; done) & exec sleep 1000",
                          path.string()),
              300ms);
    command.grace = 2s;
    const auto result = loop.run(std::move(command));
    CHECK(result.end == End::timed_out);
    CHECK(read_file(path).value_or("") == "cleaned\n");
    std::filesystem::remove(path);
}

TEST_CASE("a process left behind with the pipe open is not waited for, and lives") {
    Loop loop;
    const auto begin = std::chrono::steady_clock::now();
    const auto result = loop.run(shell("sleep 1000 & echo $!"));
    CHECK(result.succeeded());
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    const Witness left_behind(result.last_line);
    CHECK(left_behind.lives());
    left_behind.end();
}

TEST_CASE("ten megabytes without a newline are one short line in the log") {
    Loop loop;
    const auto result = loop.run(
        shell("head -c 10000000 /dev/zero | tr '\\0' x; echo; printf '\\033[31mred\\007'"));
    CHECK(result.succeeded());
    CHECK(result.last_line == " [31mred");
    CHECK(loop.log.text().size() < OutputLines::line_limit + 100);
}

TEST_CASE("endless lines don't fill the log, and the last one is still known") {
    Loop loop;
    const auto result = loop.run(shell("seq 100000"));
    CHECK(result.succeeded());
    CHECK(result.last_line == "100000");
    const std::string log = loop.log.text();
    CHECK(std::ranges::count(log, '\n') == OutputLines::count_limit + 1);
    CHECK(log.ends_with("is not logged)\n"));
}

TEST_CASE("a command that never stops printing is ended all the same") {
    Loop loop;
    CHECK(loop.run(shell("yes", 200ms)).end == End::timed_out);
}

TEST_CASE("stop() ends what runs, and nothing runs after it") {
    Loop loop;
    auto running = loop.processes.run(shell("echo $$; exec sleep 1000"));
    REQUIRE(run_until(loop.context, [&] { return loop.log.has("cmd: "); }));
    loop.processes.stop();
    const auto result = run_until_done(loop.context, std::move(running));
    CHECK(result.end == End::stopped);
    CHECK(Witness(result.last_line).ends());
    CHECK(loop.run(shell("true")).describe() == "the program is ending");
}

TEST_CASE("when the owner goes, its commands are killed at once, and when the loop goes") {
    CapturedLog log;
    const std::string script = "trap '' TERM; echo $$; while :; do sleep 1000; done";
    const auto number = [&] { return log.text().substr(log.text().rfind(' ') + 1); };
    {
        asio::io_context context;
        std::optional<Processes> processes(context);
        auto running = processes->run(shell(script));
        REQUIRE(run_until(context, [&] { return log.has("cmd: "); }));
        const Witness witness(number());
        processes.reset();
        CHECK(witness.ends());
        CHECK(run_until_done(context, std::move(running)).end == End::stopped);
    }
    std::optional<asio::io_context> context(std::in_place);
    auto processes = std::make_unique<Processes>(*context);
    asio::co_spawn(*context, processes->run(shell(script)), asio::detached);
    const auto lines = [&] { return std::ranges::count(log.text(), '\n'); };
    REQUIRE(run_until(*context, [&] { return lines() == 2; }));
    const Witness witness(number());
    context.reset();
    CHECK(witness.ends());
}
