// SPDX-License-Identifier: GPL-2.0-or-later
// Ends leases of the flow cache: the one thing that is written there but by the programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/flow_tuple.h"
#include "kernel/mapped_map.h"
#include "linkbal/abi.h"
#include "util/result.h"

namespace linkbal {

class FlowEnds {
  public:
    // `directory` is where the datapath is pinned. nullopt: nothing is, or it has no fast path. The
    // map `epochs` is written by one process at a time, as Datapath::end_epoch() has it.
    static Result<std::optional<FlowEnds>> open(const std::string& directory);

    // Ends the lease of packets that come like that: they are the kernel's from the next one on. How many
    // entries had one: two CPUs may have learned the flow at the same time.
    [[nodiscard]] Result<size_t> end_flow(const FlowTuple& tuple);
    // Ends all leases of flows by an uplink, or of all flows.
    [[nodiscard]] Status end_epoch(uint32_t uplink_id);
    [[nodiscard]] Status end_epochs();

  private:
    struct Cache {
        Fd tags;
        MapWindow flows;
    };
    template <typename Entry>
    static Result<Cache> open_cache(const std::string& directory, lb_family family,
                                    const lb_settings& settings);
    template <typename Entry>
    Result<size_t> end_in(Cache& cache, lb_family family, const FlowTuple& tuple);

    FlowEnds(const lb_settings& settings, Cache ipv4, Cache ipv6, Fd epochs);
    lb_settings settings_;
    Cache ipv4_, ipv6_;
    Fd epochs_;
};

} // namespace linkbal
