// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/flow_table.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

#include "kernel/bpf_map.h"
#include "kernel/flow_maps.h"
#include "kernel/flow_places.h"

namespace linkbal {

namespace {

constexpr size_t version_word = offsetof(lb_flow, version) / sizeof(uint64_t);

lb_version version_in(uint64_t word) {
    const auto bytes = std::bit_cast<std::array<uint8_t, sizeof(word)>>(word);
    lb_version version{};
    std::memcpy(&version, &bytes[offsetof(lb_flow, version) % sizeof(word)], sizeof(version));
    return version;
}

// Writers make the generation odd before they write, and another even one afterwards.
template <typename Entry>
std::optional<Entry> read_entry(uint64_t* place) {
    constexpr int tries = 8;
    for (int i = 0; i < tries; ++i) {
        const auto before = version_in(load_word(place[version_word], std::memory_order_acquire));
        const auto entry = glance<Entry>(place);
        std::atomic_thread_fence(std::memory_order_acquire);
        const auto after = version_in(load_word(place[version_word]));
        if (before.generation % 2 == 0 && before.generation == after.generation) {
            return entry;
        }
    }
    return std::nullopt;
}

// One family's cache.
template <typename Entry>
class Places {
  public:
    static constexpr size_t stride = FlowBucket<Entry>::stride;

    Places(const MappedMap& map, const lb_settings& settings, lb_family family)
        : words_(map.words()), settings_(settings), family_(family) {}

    [[nodiscard]] std::optional<CachedFlow> find(const FlowTuple& tuple) const {
        const FlowBucket<Entry> bucket(tuple, settings_, family_);
        std::optional<CachedFlow> found;
        bucket.scan(words_ + (bucket.first() * stride), [&](uint64_t* place) {
            const auto entry = read_entry<Entry>(place);
            if (!entry || !bucket.is_of(*entry)) {
                return false; // another one's by now
            }
            const lb_flow& flow = entry->flow;
            found = {flow.lease, flow.packets, flow.bytes, flow.ingress, flow.uplink};
            return true;
        });
        return found;
    }
    [[nodiscard]] size_t count(uint32_t tick) const {
        size_t running = 0;
        const size_t end = size_t{settings_.flow_buckets[family_]} * LB_WAYS * stride;
        for (size_t i = flow_lease_word; i < end; i += stride) {
            const auto lease = std::bit_cast<lb_lease>(load_word(words_[i]));
            running += FlowTable::is_running(lease, tick) ? 1 : 0;
        }
        return running;
    }

  private:
    uint64_t* words_;
    const lb_settings& settings_;
    lb_family family_;
};

template <typename Entry>
Result<MappedMap> map_flows(const std::string& directory, const char* name, uint32_t buckets) {
    const auto map = open_flow_map(directory, name);
    return map ? MappedMap::create(*map, size_t{buckets} * LB_WAYS, sizeof(Entry))
               : tl::unexpected(map.error());
}

} // namespace

FlowTable::FlowTable(const lb_settings& settings, TickClock clock, MappedMap ipv4, MappedMap ipv6,
                     Fd epochs)
    : settings_(settings), clock_(std::move(clock)), ipv4_(std::move(ipv4)), ipv6_(std::move(ipv6)),
      epochs_(std::move(epochs)) {}

Result<std::optional<FlowTable>> FlowTable::open(const std::string& directory) {
    const auto settings = fast_path_settings(directory);
    if (!settings) {
        return tl::unexpected(settings.error());
    }
    if (!*settings) {
        return std::nullopt;
    }
    const auto& buckets = (*settings)->flow_buckets;
    auto ipv4 = map_flows<lb_flow4>(directory, "flows_ipv4", buckets[LB_IPV4]);
    auto ipv6 = map_flows<lb_flow6>(directory, "flows_ipv6", buckets[LB_IPV6]);
    if (!ipv4 || !ipv6) {
        return tl::unexpected(ipv4 ? ipv6.error() : ipv4.error());
    }
    auto clock = TickClock::create((*settings)->tick_shift);
    auto epochs = open_flow_map(directory, "epochs");
    if (!clock || !epochs) {
        return tl::unexpected(clock ? epochs.error() : clock.error());
    }
    return FlowTable(**settings, *std::move(clock), *std::move(ipv4), *std::move(ipv6),
                     *std::move(epochs));
}

std::optional<CachedFlow> FlowTable::find(const FlowTuple& tuple) const {
    return tuple.source.family() == Family::ipv4
               ? Places<lb_flow4>(ipv4_, settings_, LB_IPV4).find(tuple)
               : Places<lb_flow6>(ipv6_, settings_, LB_IPV6).find(tuple);
}

// Leases are shorter than 2^16 ticks: what seems to be longer has run out.
bool FlowTable::is_running(const lb_lease& lease, uint32_t tick) {
    const uint32_t left = lease.end - tick;
    const bool dead = lease.end == 0 && lease.renew == 0 && lease.epoch == 0;
    return !dead && left > 0 && left <= UINT16_MAX;
}

size_t FlowTable::count_flows(uint32_t tick) const {
    return Places<lb_flow4>(ipv4_, settings_, LB_IPV4).count(tick) +
           Places<lb_flow6>(ipv6_, settings_, LB_IPV6).count(tick);
}

Result<std::array<uint32_t, LB_UPLINK_IDS>> FlowTable::epochs() const {
    std::array<uint32_t, LB_UPLINK_IDS> found{};
    for (uint32_t id = 0; id < LB_UPLINK_IDS; ++id) {
        const auto epoch = map_lookup<uint32_t>(epochs_, id);
        if (!epoch) {
            return tl::unexpected(epoch.error());
        }
        found.at(id) = epoch->value_or(0);
    }
    return found;
}

} // namespace linkbal
