// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/tick_clock.h"

#include <array>
#include <cerrno>
#include <utility>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "kernel/libbpf_log.h"

namespace linkbal {

Result<TickClock> TickClock::create(uint8_t shift) {
    constexpr uint8_t call = BPF_JMP | BPF_CALL;
    constexpr uint8_t shift_right = BPF_ALU64 | BPF_RSH | BPF_K;
    constexpr uint8_t leave = BPF_JMP | BPF_EXIT;
    const std::array<bpf_insn, 3> code{{{call, 0, 0, 0, BPF_FUNC_jiffies64},
                                        {shift_right, BPF_REG_0, 0, 0, shift},
                                        {leave, 0, 0, 0, 0}}};
    const LibbpfLog quiet;
    Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "lb_tick", "GPL", code.data(), code.size(),
                             nullptr));
    if (!program) {
        return fail_errno(errno, "load a BPF program that reads the clock");
    }
    return TickClock(std::move(program));
}

// What a program of tc returns is 32 bits wide, as a tick is.
Result<uint32_t> TickClock::now() const {
    const std::array<uint8_t, 64> packet{}; // it wants one, of an Ethernet header at least
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = packet.data();
    options.data_size_in = packet.size();
    options.repeat = 1;
    if (bpf_prog_test_run_opts(program_.get(), &options) != 0) {
        return fail_errno(errno, "run a BPF program that reads the clock");
    }
    return options.retval;
}

} // namespace linkbal
