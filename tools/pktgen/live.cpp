// SPDX-License-Identifier: GPL-2.0-or-later
#include "live.h"

#include <cerrno>
#include <chrono>
#include <optional>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sched.h>

namespace linkbal::pktgen {

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t frames_per_batch = 64; // of the kernel, which runs softirqs after each
constexpr size_t longest_frame = 128;

std::optional<uint64_t> spent(std::optional<uint64_t> before, std::optional<uint64_t> after) {
    return before && after ? std::optional(*after - *before) : std::nullopt;
}

} // namespace

Status pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    if (::sched_setaffinity(0, sizeof(set), &set) != 0) {
        return fail_errno(errno, fmt::format("moving to CPU {}", cpu));
    }
    return {};
}

Status send_live(int program, size_t frame_size, uint32_t frames) {
    const uint8_t input[longest_frame] = {};
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = input;
    options.data_size_in = static_cast<uint32_t>(frame_size);
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    options.repeat = static_cast<int>(frames);
    options.batch_size = frames_per_batch;
    const int error = bpf_prog_test_run_opts(program, &options);
    if (error != 0) {
        return fail_errno(-error, "sending live frames");
    }
    return {};
}

Result<CoreSample> send_for(const std::function<Status(uint32_t)>& send, uint32_t frames_per_call,
                            int cpu, double seconds) {
    CoreSample sample;
    const EffortCounter counter(cpu);
    const auto duration = std::chrono::duration<double>(seconds);
    const Effort before = counter.read();
    const auto start = Clock::now();
    auto now = start;
    do {
        if (auto status = send(frames_per_call); !status) {
            return tl::unexpected(status.error());
        }
        sample.sent += frames_per_call;
        now = Clock::now();
    } while (now - start < duration);
    const Effort after = counter.read();
    sample.wall_ns = std::chrono::nanoseconds(now - start).count();
    sample.effort = {spent(before.instructions, after.instructions),
                     spent(before.cycles, after.cycles), after.cpu_ns - before.cpu_ns};
    return sample;
}

} // namespace linkbal::pktgen
