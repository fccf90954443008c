// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/spawn.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/pidfd.h"

namespace linkbal {

namespace {

enum class Step : int { cgroup, streams, exec };

struct Failure {
    Step step;
    int code;
};

// What service managers tell us alone: a command that took it for its own would speak in our name.
constexpr std::array<std::string_view, 7> private_variables{
    "NOTIFY_SOCKET", "WATCHDOG_USEC",  "WATCHDOG_PID",  "LISTEN_FDS",
    "LISTEN_PID",    "LISTEN_FDNAMES", "JOURNAL_STREAM"};

bool is_replaced(std::string_view name, const Environment& environment) {
    return std::ranges::find(private_variables, name) != private_variables.end() ||
           std::ranges::any_of(environment, [&](const auto& own) { return own.first == name; });
}

std::vector<std::string> full_environment(const Environment& environment) {
    std::vector<std::string> all;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        if (!is_replaced(text.substr(0, text.find('=')), environment)) {
            all.emplace_back(text);
        }
    }
    for (const auto& [name, value] : environment) {
        all.push_back(fmt::format("{}={}", name, value));
    }
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts) {
        all.push_back(text.data());
    }
    all.push_back(nullptr);
    return all;
}

// All that the child needs, made before the fork: after it there is no allocating.
struct Image {
    char* const* words;
    char* const* environment;
    int cgroup, input, output, failure;
};

[[noreturn]] void give_up(const Image& image, Step step) {
    const Failure failure{step, errno};
    // Nobody is left to tell if this fails.
    [[maybe_unused]] const auto written = ::write(image.failure, &failure, sizeof(failure));
    ::_exit(127);
}

// exec() gives handled signals their default action, but leaves ignored ones ignored.
void reset_signals() {
    for (int number = 1; number < NSIG; ++number) {
        (void)::signal(number, SIG_DFL); // SIGKILL and SIGSTOP refuse
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void join(const Image& image) {
    const int list = ::openat(image.cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (list < 0 || ::write(list, "0", 1) != 1) {
        give_up(image, Step::cgroup);
    }
}

[[noreturn]] void become(const Image& image) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM); // when we are killed, nobody else enforces the time limit
    if (image.cgroup >= 0) {
        join(image);
    }
    if (::dup2(image.input, STDIN_FILENO) < 0 || ::dup2(image.output, STDOUT_FILENO) < 0 ||
        ::dup2(image.output, STDERR_FILENO) < 0) {
        give_up(image, Step::streams);
    }
    // Ours are close-on-exec anyway; this is for what was inherited, and older kernels (before 5.11)
    // do without it.
    ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    reset_signals();
    ::execvpe(image.words[0], image.words, image.environment);
    give_up(image, Step::exec);
}

// With every signal blocked over the fork no handler of ours runs in the child, where it would write
// to the event loop's own pipe.
pid_t fork_into(const Image& image) {
    sigset_t all;
    sigset_t former;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &former);
    const pid_t pid = ::fork();
    if (pid == 0) {
        become(image);
    }
    const int code = errno;
    ::sigprocmask(SIG_SETMASK, &former, nullptr);
    errno = code;
    return pid;
}

struct Pipe {
    Fd read, write;
};

std::optional<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return std::nullopt;
    }
    Pipe pipe{Fd(ends[0]), Fd(ends[1])};
    // The reading end alone: a command that met EAGAIN on its standard output would be surprised.
    if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) {
        return std::nullopt;
    }
    return pipe;
}

Result<Spawned> watch(pid_t pid, Fd output, Fd failure) {
    ::setpgid(pid, pid); // the child does it too: whoever is first, the group is there from now on
    Fd pidfd(::pidfd_open(pid, 0));
    if (!pidfd) {
        const int code = errno;
        ::kill(-pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return fail_errno(code, "watching a process (pidfd_open, kernel 5.3)");
    }
    return Spawned{pid, std::move(pidfd), std::move(output), std::move(failure)};
}

} // namespace

Result<Spawned> spawn(const ProcessSpec& command) {
    if (command.words.empty()) {
        return fail("no command");
    }
    const Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    auto output = make_pipe();
    auto failure = make_pipe();
    if (!input || !output || !failure) {
        return fail_errno(errno, "opening the streams of a command");
    }
    auto words = command.words;
    auto environment = full_environment(command.environment);
    const auto word_pointers = pointers(words);
    const auto environment_pointers = pointers(environment);
    // Where SIGCHLD is ignored, inherited so, the kernel throws exit statuses away.
    (void)::signal(SIGCHLD, SIG_DFL);
    const pid_t pid = fork_into({word_pointers.data(), environment_pointers.data(), command.cgroup,
                                 input.get(), output->write.get(), failure->write.get()});
    return pid > 0 ? watch(pid, std::move(output->read), std::move(failure->read))
                   : fail_errno(errno, "fork");
}

Error start_failure(const Fd& failure) {
    Failure told{};
    if (::read(failure.get(), &told, sizeof(told)) != static_cast<ssize_t>(sizeof(told))) {
        return {};
    }
    const auto* what = told.step == Step::cgroup    ? "joining its cgroup"
                       : told.step == Step::streams ? "setting up its streams"
                                                    : "exec";
    return fail_errno(told.code, what).value();
}

} // namespace linkbal
