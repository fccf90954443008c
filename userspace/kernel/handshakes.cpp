// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/handshakes.h"

#include <algorithm>

#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "linkbal/abi.h"

namespace linkbal {

static_assert(handshake_slots == LB_SLOTS);

Result<HandshakeReader> HandshakeReader::open(const std::string& instance) {
    const auto path = fmt::format("{}/{}/handshake_counters", bpffs_path, instance);
    auto map = open_pin(path);
    if (!map) {
        return tl::unexpected(map.error());
    }
    if (!*map) {
        return fail("{} is missing: the datapath is not loaded", path);
    }
    const auto info = map_info(*map);
    if (!info || info->value_size != sizeof(lb_handshake_counters)) {
        return info ? fail("the BPF map {} is another version's: run `linkbal up`", path)
                    : tl::unexpected(info.error());
    }
    return HandshakeReader(*std::move(map));
}

Result<HandshakeCounters> HandshakeReader::read(uint32_t uplink_id, Family family) const {
    const uint32_t key = (uplink_id * LB_FAMILIES) + static_cast<uint32_t>(family);
    const auto found = map_lookup<lb_handshake_counters>(map_, key);
    if (!found) {
        return tl::unexpected(found.error());
    }
    if (!found->has_value()) {
        return fail("no uplink has the number {}", uplink_id);
    }
    const lb_handshake_counters& raw = **found;
    HandshakeCounters counters{.attempts = raw.attempts,
                               .retries = raw.retries,
                               .answers = raw.answers,
                               .round_trips = std::chrono::nanoseconds(raw.rtt_sum_ns),
                               .round_trip_samples = raw.rtt_samples};
    std::ranges::copy(raw.slot_attempts, counters.slot_attempts.begin());
    std::ranges::copy(raw.slot_answers, counters.slot_answers.begin());
    return counters;
}

} // namespace linkbal
