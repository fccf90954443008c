// SPDX-License-Identifier: GPL-2.0-or-later
// A flow cache without programs: its maps, pinned in a bpffs of the test's own, and entries made by
// hand.
#pragma once

#include <cstdint>
#include <string>

#include "core/flow_tuple.h"
#include "linkbal/abi.h"
#include "util/fd.h"

namespace linkbal::test {

FlowTuple tuple_of(const std::string& source, uint16_t source_port, const std::string& destination,
                   uint16_t destination_port, uint8_t protocol = 6);

class FlowCache {
  public:
    static constexpr uint32_t buckets = 64;
    // Needs a network namespace of the test's own.
    explicit FlowCache(bool fast_path = true);
    FlowCache(const FlowCache&) = delete;
    FlowCache& operator=(const FlowCache&) = delete;
    ~FlowCache();

    [[nodiscard]] const std::string& directory() const { return directory_; }
    // Where the programs would look at the `way`th time.
    [[nodiscard]] uint32_t place(const FlowTuple& tuple, uint32_t way) const;
    void put(const FlowTuple& tuple, const lb_flow& flow, uint32_t way = 0);
    void clear(const FlowTuple& tuple, uint32_t way);
    [[nodiscard]] lb_flow get(const FlowTuple& tuple, uint32_t way = 0) const;
    [[nodiscard]] bool is_alive(const FlowTuple& tuple) const; // its lease is not 0
    [[nodiscard]] uint32_t epoch(uint32_t uplink) const;

  private:
    [[nodiscard]] const Fd& flows(const FlowTuple& tuple) const;
    std::string directory_;
    Fd settings_, ipv4_, ipv6_, tags4_, tags6_, epochs_;
};

} // namespace linkbal::test
