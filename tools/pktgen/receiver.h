// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "netns.h"
#include "util/result.h"

struct receiver_bpf;
struct bpf_link;

namespace linkbal::pktgen {

// Counts the generator's frames at one device, and drops or answers them, from creation to
// destruction.
class Receiver {
  public:
    // Leaves the calling thread in the namespace of the port.
    [[nodiscard]] static Result<Receiver> create(const Port& port, uint32_t flows);

    [[nodiscard]] uint64_t packets() const;

    // From now on, also note which flows arrive (or stop doing so).
    void census(bool on);

    // From now on, send every frame back (or stop doing so).
    void answer(bool on);

    // One element a flow, not 0 where the flow was seen while the census was on.
    [[nodiscard]] Result<std::vector<uint64_t>> seen() const;

  private:
    struct Destroy {
        void operator()(receiver_bpf* skeleton) const;
        void operator()(bpf_link* link) const;
    };

    Receiver() = default;

    uint32_t flows_ = 0;
    std::unique_ptr<receiver_bpf, Destroy> skeleton_;
    std::unique_ptr<bpf_link, Destroy> link_;
};

} // namespace linkbal::pktgen
