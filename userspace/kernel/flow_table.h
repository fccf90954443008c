// SPDX-License-Identifier: GPL-2.0-or-later
// The flow cache (include/linkbal/abi.h) as the programs of one instance share it with us. Readers
// take no part in what the programs do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/flow_tuple.h"
#include "kernel/mapped_map.h"
#include "kernel/tick_clock.h"
#include "linkbal/abi.h"
#include "util/result.h"

namespace linkbal {

// One direction of a connection, all of one moment.
struct CachedFlow {
    lb_lease lease;
    uint64_t packets;
    uint64_t bytes;   // as on the wire, link-layer header included
    uint16_t ingress; // slot of the device that it comes by
    uint8_t uplink;
};

class FlowTable {
  public:
    // `directory` is where the datapath is pinned. nullopt: nothing is, or it has no fast path.
    static Result<std::optional<FlowTable>> open(const std::string& directory);

    [[nodiscard]] const lb_settings& settings() const { return settings_; }
    // Now, in ticks; for holds() and count_flows().
    [[nodiscard]] Result<uint32_t> tick() const { return clock_.now(); }

    // What is cached for packets that come like that, its lease over or not. nullopt: nothing, or it is
    // rewritten faster than it can be read.
    [[nodiscard]] std::optional<CachedFlow> find(const FlowTuple& tuple) const;
    // The lease has not run out, whatever epoch it is of.
    [[nodiscard]] static bool is_running(const lb_lease& lease, uint32_t tick);
    // How many leases have not run out. Reads through the whole cache: 10 ms for a million places.
    [[nodiscard]] size_t count_flows(uint32_t tick) const;
    // By uplink id.
    [[nodiscard]] Result<std::array<uint32_t, LB_UPLINK_IDS>> epochs() const;

  private:
    FlowTable(const lb_settings& settings, TickClock clock, MappedMap ipv4, MappedMap ipv6,
              Fd epochs);
    lb_settings settings_;
    TickClock clock_;
    MappedMap ipv4_, ipv6_;
    Fd epochs_;
};

} // namespace linkbal
