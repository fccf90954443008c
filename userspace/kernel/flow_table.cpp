// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/flow_table.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

#include <arpa/inet.h>

#include "kernel/bpf_map.h"
#include "kernel/bpf_object.h"
#include "kernel/bpffs.h"
#include "kernel/datapath_maps.h"
#include "linkbal/hash.h"

namespace linkbal {

namespace {

constexpr size_t lease_word = offsetof(lb_flow, lease) / sizeof(uint64_t);
constexpr size_t version_word = offsetof(lb_flow, version) / sizeof(uint64_t);
static_assert(sizeof(lb_lease) == sizeof(uint64_t));

uint64_t load(uint64_t& word, std::memory_order order = std::memory_order_relaxed) {
    return std::atomic_ref(word).load(order);
}

lb_version version_in(uint64_t word) {
    const auto bytes = std::bit_cast<std::array<uint8_t, sizeof(word)>>(word);
    lb_version version{};
    std::memcpy(&version, &bytes[offsetof(lb_flow, version) % sizeof(word)], sizeof(version));
    return version;
}

// Perhaps half of one entry and half of the next that is written to its place.
template <typename Entry>
Entry glance(uint64_t* place) {
    std::array<uint64_t, sizeof(Entry) / sizeof(uint64_t)> words{};
    for (size_t i = 0; i < words.size(); ++i) {
        words[i] = load(place[i]);
    }
    return std::bit_cast<Entry>(words);
}

// Writers make the generation odd before they write, and another even one afterwards.
template <typename Entry>
std::optional<Entry> read_entry(uint64_t* place) {
    constexpr int tries = 8;
    for (int i = 0; i < tries; ++i) {
        const auto before = version_in(load(place[version_word], std::memory_order_acquire));
        const auto entry = glance<Entry>(place);
        std::atomic_thread_fence(std::memory_order_acquire);
        const auto after = version_in(load(place[version_word]));
        if (before.generation % 2 == 0 && before.generation == after.generation) {
            return entry;
        }
    }
    return std::nullopt;
}

template <typename Tuple>
Tuple as_it_lies(const FlowTuple& tuple) {
    Tuple lies{};
    std::memcpy(&lies.source, tuple.source.bytes().data(), sizeof(lies.source));
    std::memcpy(&lies.destination, tuple.destination.bytes().data(), sizeof(lies.destination));
    lies.source_port = htons(tuple.source_port);
    lies.destination_port = htons(tuple.destination_port);
    return lies;
}

// One family's cache.
template <typename Entry>
class Places {
  public:
    using Tuple = decltype(Entry::from);
    static constexpr size_t stride = sizeof(Entry) / sizeof(uint64_t);

    Places(const MappedMap& map, const lb_settings& settings, lb_family family)
        : words_(map.words()), buckets_(settings.flow_buckets[family]), seed_(settings.hash_seed) {}

    // Calls `each` with every place of the bucket, in the programs' order, that seems to be the
    // flow's, until it says that this was it.
    template <typename Each>
    void scan(const FlowTuple& tuple, Each each) const {
        const auto wanted = as_it_lies<Tuple>(tuple);
        std::array<uint32_t, sizeof(Tuple) / sizeof(uint32_t)> key{};
        std::memcpy(key.data(), &wanted, sizeof(wanted));
        const uint64_t hash = lb_flow_hash(key.data(), key.size(), tuple.protocol, seed_);
        const uint32_t index = lb_flow_index(hash, buckets_);
        const uint32_t bucket = index & ~(LB_WAYS - 1);
        for (uint32_t way = 0; way < LB_WAYS; ++way) {
            uint64_t* place = words_ + ((bucket | ((index + way) & (LB_WAYS - 1))) * stride);
            if (is_of(glance<Entry>(place), wanted, tuple.protocol) && each(place)) {
                return;
            }
        }
    }
    [[nodiscard]] std::optional<CachedFlow> find(const FlowTuple& tuple) const {
        std::optional<CachedFlow> found;
        scan(tuple, [&](uint64_t* place) {
            const auto entry = read_entry<Entry>(place);
            if (!entry || !is_of(*entry, as_it_lies<Tuple>(tuple), tuple.protocol)) {
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
        const size_t end = size_t{buckets_} * LB_WAYS * stride;
        for (size_t i = lease_word; i < end; i += stride) {
            running +=
                FlowTable::is_running(std::bit_cast<lb_lease>(load(words_[i])), tick) ? 1 : 0;
        }
        return running;
    }
    // Where the place has become another flow's meanwhile, that one is learned again: no harm.
    [[nodiscard]] size_t end(const FlowTuple& tuple) const {
        size_t ended = 0;
        scan(tuple, [&](uint64_t* place) {
            std::atomic_ref(place[lease_word]).store(0);
            ++ended;
            return false;
        });
        return ended;
    }

  private:
    static bool is_of(const Entry& entry, const Tuple& wanted, uint8_t protocol) {
        return entry.flow.protocol == protocol &&
               std::memcmp(&entry.from, &wanted, sizeof(wanted)) == 0;
    }
    uint64_t* words_;
    uint32_t buckets_;
    uint32_t seed_;
};

Result<Fd> open_map(const std::string& directory, const char* name) {
    auto map = open_pin(fmt::format("{}/{}", directory, name));
    if (map && !*map) {
        return fail("{}/{} is missing: the datapath is not loaded", directory, name);
    }
    return map;
}

Result<std::optional<lb_settings>> read_settings(const std::string& directory) {
    auto map = open_pin(fmt::format("{}/settings", directory));
    if (!map) {
        return tl::unexpected(map.error());
    }
    if (!*map) {
        return std::nullopt;
    }
    BpfObject object;
    object.maps.emplace("settings", *std::move(map));
    const auto settings = object_settings(object);
    return settings ? Result<std::optional<lb_settings>>(settings)
                    : fail("the datapath is another version's: run `linkbal up`");
}

template <typename Entry>
Result<MappedMap> map_flows(const std::string& directory, const char* name, uint32_t buckets,
                            MapAccess access) {
    const auto map = open_map(directory, name);
    return map ? MappedMap::create(*map, size_t{buckets} * LB_WAYS, sizeof(Entry), access)
               : tl::unexpected(map.error());
}

} // namespace

FlowTable::FlowTable(const lb_settings& settings, TickClock clock, MappedMap ipv4, MappedMap ipv6,
                     Fd epochs)
    : settings_(settings), clock_(std::move(clock)), ipv4_(std::move(ipv4)), ipv6_(std::move(ipv6)),
      epochs_(std::move(epochs)) {}

Result<std::optional<FlowTable>> FlowTable::open(const std::string& directory, MapAccess access) {
    const auto settings = read_settings(directory);
    if (!settings) {
        return tl::unexpected(settings.error());
    }
    if (!*settings || (*settings)->fast_path == 0) {
        return std::nullopt;
    }
    const auto& buckets = (*settings)->flow_buckets;
    auto ipv4 = map_flows<lb_flow4>(directory, "flows_ipv4", buckets[LB_IPV4], access);
    auto ipv6 = map_flows<lb_flow6>(directory, "flows_ipv6", buckets[LB_IPV6], access);
    if (!ipv4 || !ipv6) {
        return tl::unexpected(ipv4 ? ipv6.error() : ipv4.error());
    }
    auto clock = TickClock::create((*settings)->tick_shift);
    auto epochs = open_map(directory, "epochs");
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

size_t FlowTable::end_flow(const FlowTuple& tuple) {
    return tuple.source.family() == Family::ipv4
               ? Places<lb_flow4>(ipv4_, settings_, LB_IPV4).end(tuple)
               : Places<lb_flow6>(ipv6_, settings_, LB_IPV6).end(tuple);
}

Status FlowTable::end_epoch(uint32_t uplink_id) { return bump_epoch(epochs_, uplink_id); }

Status FlowTable::end_epochs() { return bump_epochs(epochs_); }

} // namespace linkbal
