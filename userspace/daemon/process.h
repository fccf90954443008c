// SPDX-License-Identifier: GPL-2.0-or-later
// Commands that run beside the event loop, which they can neither block nor outlast.
#pragma once

#include "daemon/asio.h"

#include <memory>
#include <string>
#include <vector>

#include "daemon/spawn.h"
#include "util/result.h"

namespace linkbal {

struct ProcessResult {
    enum class End : uint8_t {
        exited,      // `number` is the exit status
        signalled,   // `number` is the signal, which was none of ours
        timed_out,   // it had to be told to end
        stopped,     // Processes::stop() or its end
        not_started, // `error` says why
    };
    End end = End::not_started;
    int number = 0;
    std::string error;
    std::string last_line; // of its output; may be empty
    std::chrono::milliseconds time_limit{};

    [[nodiscard]] bool succeeded() const { return end == End::exited && number == 0; }
    // "exit status 3: no such account"
    [[nodiscard]] std::string describe() const;
};

class Process;

// The commands that run for one purpose; they end with it. It must not outlive `context`.
class Processes {
  public:
    explicit Processes(asio::io_context& context) : context_(&context) {}
    Processes(const Processes&) = delete;
    Processes& operator=(const Processes&) = delete;
    ~Processes(); // kills every process group at once

    // Starts the command at once; the result is there when it has ended. Its output is logged line by
    // line. A process that it leaves behind is not waited for, not even if it holds the output open:
    // who writes to that afterwards gets SIGPIPE. The awaitable may outlive this object.
    asio::awaitable<ProcessResult> run(ProcessSpec command);

    // Tells every process group to end (SIGTERM, after the grace SIGKILL). Nothing runs any more.
    void stop();

  private:
    asio::io_context* context_;
    std::vector<std::weak_ptr<Process>> running_;
    bool stopped_ = false;
};

} // namespace linkbal
