// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/datapath_settings.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <ctime>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/random.h>

#include "kernel/bpf_object.h"
#include "kernel/libbpf_log.h"

namespace linkbal {

namespace {

static_assert(static_cast<int>(HashMode::connection) == LB_HASH_CONNECTION);
static_assert(static_cast<int>(HashMode::source) == LB_HASH_SOURCE);
static_assert(static_cast<int>(HashMode::destination) == LB_HASH_DESTINATION);
static_assert(static_cast<int>(HashMode::source_destination) == LB_HASH_SOURCE_DESTINATION);

constexpr uint32_t fewest_ticks = 12;

template <typename T>
Status fill_random(T& value) {
    return getrandom(&value, sizeof(value), 0) == sizeof(value)
               ? Status()
               : Status(fail_errno(errno, "asking for a random number"));
}

// The coarse clock advances once a jiffy (CONFIG_HZ is not told otherwise).
Result<uint32_t> jiffies_per_second() {
    timespec resolution{};
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0 || resolution.tv_nsec == 0) {
        return fail_errno(errno, "asking for the resolution of the coarse clock");
    }
    constexpr int64_t second = 1'000'000'000;
    return static_cast<uint32_t>((second + (resolution.tv_nsec / 2)) / resolution.tv_nsec);
}

bool has_xfrm() {
    const LibbpfLog quiet;
    return libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_skb_get_xfrm_state, nullptr) ==
           1;
}

Status draw(lb_settings& settings, const std::optional<lb_settings>& former) {
    settings.hash_seed = former ? former->hash_seed : 0;
    settings.tag = former ? former->tag : 0;
    auto drawn = former ? Status() : fill_random(settings.hash_seed);
    if (drawn && settings.tag == 0) {
        drawn = fill_random(settings.tag);
        settings.tag = std::max<__u16>(settings.tag, 1);
    }
    return drawn;
}

} // namespace

LeaseClock lease_clock(uint32_t jiffies_per_second) {
    LeaseClock clock{.shift = 0, .per_second = jiffies_per_second};
    while (clock.per_second / 2 >= fewest_ticks) {
        ++clock.shift;
        clock.per_second = jiffies_per_second >> clock.shift;
    }
    return clock;
}

Result<lb_settings> settings_for(const DatapathState& state,
                                 const std::optional<lb_settings>& former) {
    const auto jiffies = jiffies_per_second();
    if (!jiffies) {
        return tl::unexpected(jiffies.error());
    }
    const auto clock = lease_clock(*jiffies);
    lb_settings settings{
        .object_id = embedded_object_id(),
        .abi_version = LB_ABI_VERSION,
        .hash_seed = 0,
        .mark_mask = state.mark_mask,
        .mark_shift = static_cast<__u8>(std::countr_zero(state.mark_mask)),
        .hash_mode = static_cast<__u8>(state.hash),
        .has_conntrack = static_cast<__u8>(state.conntrack_lookup ? 1 : 0),
        .fast_path = static_cast<__u8>(state.fast_path ? 1 : 0),
        .flow_buckets = {state.flow_buckets[0], state.flow_buckets[1]},
        .ticks_per_second = clock.per_second,
        .tcp_timeout = state.tcp_timeout,
        .tag = 0,
        .tick_shift = clock.shift,
        .has_xfrm = static_cast<__u8>(has_xfrm() ? 1 : 0),
        .has_timeout = static_cast<__u8>(state.conntrack_timeout ? 1 : 0),
        .padding = {},
    };
    const auto drawn = draw(settings, former);
    return drawn ? Result<lb_settings>(settings) : tl::unexpected(drawn.error());
}

} // namespace linkbal
