// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "util/fd.h"

namespace linkbal::pktgen {

struct Effort {
    std::optional<uint64_t> instructions; // in the kernel; none where the machine does not count
    std::optional<uint64_t> cycles;
    uint64_t cpu_ns = 0; // time that the counted threads had the CPU
};

/*
 * Counts what forwarding costs: this thread, in whose system calls the softirqs of its packets run,
 * and the CPU's ksoftirqd, to which the kernel hands softirqs over that last too long. Other
 * processes on the same CPU are not counted.
 */
class EffortCounter {
  public:
    explicit EffortCounter(int cpu);

    // Since construction. The difference of two readings is what was spent between them.
    [[nodiscard]] Effort read() const;

  private:
    struct Thread {
        Fd instructions;
        Fd cycles;
        Fd clock;
    };

    std::vector<Thread> threads_;
};

} // namespace linkbal::pktgen
