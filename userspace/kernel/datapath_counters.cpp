// SPDX-License-Identifier: GPL-2.0-or-later
// The reading half of Datapath that needs no more than counters.
#include <algorithm>
#include <array>

#include "kernel/bpf_map.h"
#include "kernel/datapath.h"

namespace linkbal {

namespace {

void add(lb_uplink_counters& sum, const lb_uplink_counters& part) {
    sum.tx_packets += part.tx_packets;
    sum.tx_bytes += part.tx_bytes;
    sum.rx_packets += part.rx_packets;
    sum.rx_bytes += part.rx_bytes;
    sum.picks += part.picks;
    sum.fast += part.fast;
}

void add(lb_verdict_counters& sum, const lb_verdict_counters& part) {
    sum.packets += part.packets;
    sum.bytes += part.bytes;
}

template <typename Counters, size_t size>
Status sum_counters(const Fd& map, std::array<Counters, size>& sums) {
    const auto info = map_info(map);
    if (!info || info->value_size != sizeof(Counters) || info->max_entries != size) {
        return info ? fail("the BPF map {} is another version's: run `linkbal up`", info->name)
                    : tl::unexpected(info.error());
    }
    for (uint32_t key = 0; key < size; ++key) {
        const auto parts = map_lookup_per_cpu<Counters>(map, key);
        if (!parts) {
            return tl::unexpected(parts.error());
        }
        std::ranges::for_each(*parts, [&](const auto& part) { add(sums.at(key), part); });
    }
    return {};
}

} // namespace

Result<DatapathCounters> Datapath::counters() const {
    DatapathCounters counters;
    Fd uplinks;
    Fd verdicts;
    Fd fast;
    Fd lease;
    const auto opened = open_maps({{"uplink_counters", &uplinks},
                                   {"verdict_counters", &verdicts},
                                   {"fast_counters", &fast},
                                   {"lease", &lease}});
    const auto summed = opened.and_then([&] { return sum_counters(uplinks, counters.uplinks); })
                            .and_then([&] { return sum_counters(verdicts, counters.verdicts); })
                            .and_then([&] { return sum_counters(fast, counters.fast); });
    if (!summed) {
        return tl::unexpected(summed.error());
    }
    const auto control = map_lookup<lb_lease_control>(lease, uint32_t{0});
    if (!control) {
        return tl::unexpected(control.error());
    }
    counters.full = control->value_or(lb_lease_control{}).full;
    return counters;
}

} // namespace linkbal
