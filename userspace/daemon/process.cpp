// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/output_lines.h"

namespace linkbal {

using End = ProcessResult::End;

// One command from fork to wait. Pending handlers keep it alive; if the event loop goes first, it goes
// with them.
class Process : public std::enable_shared_from_this<Process> {
  public:
    Process(asio::io_context& context, ProcessSpec command)
        : command_(std::move(command)), exit_(context), output_(context), timer_(context),
          finished_(context, asio::steady_timer::time_point::max()),
          lines_([this](std::string_view line) { spdlog::info("{}: {}", command_.title, line); }) {}
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    void start();
    void refuse(std::string reason);
    void terminate(End why);
    void kill() noexcept;

    static asio::awaitable<ProcessResult> result(std::shared_ptr<Process> process);

  private:
    void wait_for_exit();
    void wait_for_output();
    void wait_for_limit();
    bool read_output();
    void on_exit();
    void on_grace_over();
    void finish();
    void judge(int status);
    void signal_group(int number) const noexcept;

    ProcessSpec command_;
    pid_t pid_ = 0; // 0: not there, or not any more
    asio::posix::stream_descriptor exit_, output_;
    Fd failure_;
    asio::steady_timer timer_, finished_;
    OutputLines lines_;
    std::optional<End> told_to_end_;
    bool ended_ = false;      // the command itself; it is not reaped before the grace is over,
    bool grace_over_ = false; // because until then its number keeps the group's from being reused
    ProcessResult result_;
    bool has_result_ = false;
};

Process::~Process() {
    signal_group(SIGKILL);
    if (pid_ != 0) {
        (void)::waitpid(pid_, nullptr, WNOHANG); // else it is reaped with us
    }
}

void Process::start() {
    auto spawned = spawn(command_);
    if (!spawned) {
        refuse(spawned.error().message);
        return;
    }
    pid_ = spawned->pid;
    failure_ = std::move(spawned->failure);
    exit_.assign(spawned->pidfd.release());
    output_.assign(spawned->output.release());
    wait_for_exit();
    wait_for_output();
    wait_for_limit();
}

void Process::refuse(std::string reason) {
    result_.error = std::move(reason);
    has_result_ = true;
}

void Process::wait_for_exit() {
    exit_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](error_code error) {
                         if (!error) {
                             self->on_exit();
                         }
                     });
}

void Process::wait_for_output() {
    output_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [self = shared_from_this()](error_code error) {
                           if (!error && !self->has_result_ && self->read_output()) {
                               self->wait_for_output();
                           }
                       });
}

void Process::wait_for_limit() {
    timer_.expires_after(command_.time_limit);
    timer_.async_wait([self = shared_from_this()](error_code error) {
        if (!error) {
            self->terminate(End::timed_out);
        }
    });
}

// One pipe full at most, so that a command that never stops printing leaves the loop to others. False
// at the end of the output.
bool Process::read_output() {
    std::array<char, 65536> bytes; // NOLINT(*-member-init): read() fills it
    const auto size = ::read(output_.native_handle(), bytes.data(), bytes.size());
    if (size > 0) {
        lines_.take({bytes.data(), static_cast<size_t>(size)});
    }
    return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

void Process::terminate(End why) {
    if (pid_ == 0 || told_to_end_) {
        return;
    }
    told_to_end_ = why;
    signal_group(SIGTERM);
    timer_.expires_after(command_.grace);
    timer_.async_wait([self = shared_from_this()](error_code error) {
        if (!error) {
            self->on_grace_over();
        }
    });
}

// The rest follows from the exit, if the loop is still there to see it.
void Process::kill() noexcept {
    if (pid_ != 0) {
        told_to_end_ = told_to_end_.value_or(End::stopped);
        grace_over_ = true;
        signal_group(SIGKILL);
    }
}

// A handler may be queued already when the process has been reaped, and group 0 is our own.
void Process::signal_group(int number) const noexcept {
    if (pid_ > 0) {
        (void)::kill(-pid_, number);
    }
}

void Process::on_grace_over() {
    grace_over_ = true;
    signal_group(SIGKILL);
    if (ended_ && pid_ != 0) {
        finish();
    }
}

void Process::on_exit() {
    ended_ = true;
    // Others of the group may still be at what SIGTERM made them do.
    if (!told_to_end_ || grace_over_) {
        finish();
    }
}

void Process::finish() {
    read_output(); // what was written last; the end of it may never come
    lines_.end();
    int status = 0;
    const bool reaped = ::waitpid(pid_, &status, 0) == pid_;
    pid_ = 0;
    judge(reaped ? status : 0);
    has_result_ = true;
    const Fd exit(exit_.release()); // to be closed at the end of this
    const Fd output(output_.release());
    timer_.cancel();
    finished_.cancel();
}

void Process::judge(int status) {
    result_.last_line = lines_.last();
    result_.time_limit = command_.time_limit;
    const Error failure = start_failure(failure_);
    if (!failure.message.empty()) {
        result_.error = failure.message;
    } else if (told_to_end_) {
        result_.end = *told_to_end_;
    } else if (WIFSIGNALED(status)) {
        result_.end = End::signalled;
        result_.number = WTERMSIG(status);
    } else {
        result_.end = End::exited;
        result_.number = WEXITSTATUS(status);
    }
}

asio::awaitable<ProcessResult> Process::result(std::shared_ptr<Process> process) {
    while (!process->has_result_) {
        error_code cancelled; // is how finish() wakes it
        co_await process->finished_.async_wait(
            asio::redirect_error(asio::use_awaitable, cancelled));
    }
    co_return std::move(process->result_);
}

Processes::~Processes() {
    for (const auto& process : running_) {
        if (const auto alive = process.lock()) {
            alive->kill();
        }
    }
}

asio::awaitable<ProcessResult> Processes::run(ProcessSpec command) {
    std::erase_if(running_, [](const auto& process) { return process.expired(); });
    auto process = std::make_shared<Process>(*context_, std::move(command));
    if (stopped_) {
        process->refuse("the program is ending");
    } else {
        process->start();
        running_.push_back(process);
    }
    return Process::result(std::move(process));
}

void Processes::stop() {
    stopped_ = true;
    for (const auto& process : running_) {
        if (const auto alive = process.lock()) {
            alive->terminate(End::stopped);
        }
    }
}

std::string ProcessResult::describe() const {
    std::string text;
    switch (end) {
    case End::exited:
        text = fmt::format("exit status {}", number);
        break;
    case End::signalled:
        text = fmt::format("killed by signal {} ({})", number, ::strsignal(number));
        break;
    case End::timed_out:
        text = fmt::format("not done after {:g} s", static_cast<double>(time_limit.count()) / 1000);
        break;
    case End::stopped:
        text = "stopped";
        break;
    case End::not_started:
        return error;
    }
    return last_line.empty() ? text : fmt::format("{}: {}", text, last_line);
}

} // namespace linkbal
