// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>

#include "netns.h"
#include "util/result.h"

struct generator_bpf;

namespace linkbal::pktgen {

struct Traffic {
    bool ipv6 = false;
    uint32_t first_flow = 0;
    uint32_t flows = 1; // first_flow + flows is at most PKTGEN_MAX_FLOWS
};

// Sends frames out by one device, flow after flow, on the CPU of the calling thread.
class Generator {
  public:
    // Leaves the calling thread in the namespace of the port, where it must be for send().
    [[nodiscard]] static Result<Generator> create(const Port& port, const Traffic& traffic);

    // Returns when the last of the frames has been handed to the device.
    [[nodiscard]] Status send(uint32_t frames);

    [[nodiscard]] uint32_t flows() const { return flows_; }

  private:
    struct Destroy {
        void operator()(generator_bpf* skeleton) const;
    };

    Generator() = default;

    uint32_t flows_ = 0;
    uint32_t frame_size_ = 0;
    std::unique_ptr<generator_bpf, Destroy> skeleton_;
};

} // namespace linkbal::pktgen
