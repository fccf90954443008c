// SPDX-License-Identifier: GPL-2.0-or-later
#include "perf.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace linkbal::pktgen {

namespace {

Fd open_event(uint32_t type, uint64_t config, pid_t thread) {
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = type;
    attributes.config = config;
    attributes.exclude_user = type == PERF_TYPE_HARDWARE;
    attributes.exclude_hv = 1;
    constexpr int any_cpu = -1;
    constexpr int no_group = -1;
    return Fd(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, thread, any_cpu,
                                         no_group, PERF_FLAG_FD_CLOEXEC)));
}

std::optional<uint64_t> read_event(const Fd& event) {
    uint64_t value = 0;
    if (!event || ::read(event.get(), &value, sizeof(value)) != sizeof(value)) {
        return std::nullopt;
    }
    return value;
}

// 0 where there is none to be seen, as in a container.
pid_t find_ksoftirqd(int cpu) {
    const std::string wanted = "ksoftirqd/" + std::to_string(cpu);
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string pid = entry.path().filename();
        if (pid.find_first_not_of("0123456789") != std::string::npos) {
            continue;
        }
        std::string name;
        std::getline(std::ifstream(entry.path() / "comm"), name);
        if (name == wanted) {
            return static_cast<pid_t>(std::stol(pid));
        }
    }
    return 0;
}

void add(std::optional<uint64_t>& sum, std::optional<uint64_t> value) {
    if (sum && value) {
        *sum += *value;
    } else {
        sum.reset();
    }
}

} // namespace

EffortCounter::EffortCounter(int cpu) {
    std::vector<pid_t> threads = {::gettid()};
    if (const pid_t ksoftirqd = find_ksoftirqd(cpu); ksoftirqd != 0) {
        threads.push_back(ksoftirqd);
    }
    for (const pid_t thread : threads) {
        threads_.push_back({open_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, thread),
                            open_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, thread),
                            open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, thread)});
    }
}

Effort EffortCounter::read() const {
    Effort effort{0, 0, 0};
    for (const auto& thread : threads_) {
        add(effort.instructions, read_event(thread.instructions));
        add(effort.cycles, read_event(thread.cycles));
        effort.cpu_ns += read_event(thread.clock).value_or(0);
    }
    return effort;
}

} // namespace linkbal::pktgen
