// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "netns.h"
#include "util/result.h"

struct generator_bpf;

namespace linkbal::pktgen {

using Mac = std::array<uint8_t, 6>;

struct Traffic {
    Mac source_mac{};
    Mac gateway_mac{};
    uint32_t source_network = 0;      // host byte order, /24
    uint32_t destination_network = 0; // host byte order, /24
    uint32_t flows = 1;               // 1 to PKTGEN_MAX_FLOWS
};

// Sends frames out by one device, flow after flow, on the CPU of the calling thread.
class Generator {
  public:
    // Leaves the calling thread in the namespace of the port, where it must stay for send().
    [[nodiscard]] static Result<Generator> create(const Port& port, const Traffic& traffic);

    // Returns when the last of the frames has been handed to the device.
    [[nodiscard]] Status send(uint32_t frames);

  private:
    struct Destroy {
        void operator()(generator_bpf* skeleton) const;
    };

    Generator() = default;

    std::unique_ptr<generator_bpf, Destroy> skeleton_;
};

} // namespace linkbal::pktgen
