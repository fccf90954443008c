// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// The clock of the flow cache's leases, jiffies64 >> shift. Programs alone can read it (bpf_jiffies64(),
// kernel 5.6 and later), so this is one of three instructions.
class TickClock {
  public:
    static Result<TickClock> create(uint8_t shift);
    // In ticks, which wrap.
    [[nodiscard]] Result<uint32_t> now() const;

  private:
    explicit TickClock(Fd program) : program_(std::move(program)) {}
    Fd program_;
};

} // namespace linkbal
