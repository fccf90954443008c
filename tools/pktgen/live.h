// SPDX-License-Identifier: GPL-2.0-or-later
// Sending by BPF_PROG_TEST_RUN with live frames, for a time, on one CPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "perf.h"
#include "util/result.h"

namespace linkbal::pktgen {

using Mac = std::array<uint8_t, 6>;

constexpr Mac host_mac = {0x02, 0, 0, 0, 0, 0x10};
constexpr Mac gateway_mac = {0x02, 0, 0, 0, 0, 0x01};
constexpr uint32_t source_network = 0xc0a80000;      // 192.168.0.0/24
constexpr uint32_t destination_network = 0xcb007100; // 203.0.113.0/24

// What one CPU did in the measured time.
struct CoreSample {
    uint64_t sent = 0;
    int64_t wall_ns = 0;
    Effort effort; // of these frames alone
};

// For the calling thread, until it ends.
[[nodiscard]] Status pin_to(int cpu);

// Runs the program for each of the frames; it writes them and says where they go.
[[nodiscard]] Status send_live(int program, size_t frame_size, uint32_t frames);

// Calls send(frames) for a time, at least once, on the CPU of the calling thread.
[[nodiscard]] Result<CoreSample> send_for(const std::function<Status(uint32_t)>& send,
                                          uint32_t frames_per_call, int cpu, double seconds);

} // namespace linkbal::pktgen
