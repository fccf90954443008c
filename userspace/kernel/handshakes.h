// SPDX-License-Identifier: GPL-2.0-or-later
// Reads what the datapath counts of beginnings of connections: one system call a link and family.
#pragma once

#include <string>

#include "core/address.h"
#include "core/handshake_counters.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

class HandshakeReader {
  public:
    // Of a loaded datapath. An `up` of another version may load other maps: open again after it.
    static Result<HandshakeReader> open(const std::string& instance);

    // Not at one moment: what is counted meanwhile may be in one number and not yet in another.
    [[nodiscard]] Result<HandshakeCounters> read(uint32_t uplink_id, Family family) const;

  private:
    explicit HandshakeReader(Fd map) : map_(std::move(map)) {}
    Fd map_;
};

} // namespace linkbal
