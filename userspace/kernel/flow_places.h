// SPDX-License-Identifier: GPL-2.0-or-later
// Where the programs have a flow in their cache (bpf/flow.h), for those who read it or end it.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>

#include "core/flow_tuple.h"
#include "linkbal/abi.h"
#include "linkbal/hash.h"

namespace linkbal {

inline uint64_t load_word(uint64_t& word, std::memory_order order = std::memory_order_relaxed) {
    return std::atomic_ref(word).load(order);
}

// Perhaps half of one entry and half of the next that is written to its place.
template <typename Entry>
Entry glance(uint64_t* place) {
    std::array<uint64_t, sizeof(Entry) / sizeof(uint64_t)> words{};
    for (size_t i = 0; i < words.size(); ++i) {
        words[i] = load_word(place[i]);
    }
    return std::bit_cast<Entry>(words);
}

// A flow's bucket, of one family's cache.
template <typename Entry>
class FlowBucket {
  public:
    using Tuple = decltype(Entry::from);
    static constexpr size_t stride = sizeof(Entry) / sizeof(uint64_t); // words

    FlowBucket(const FlowTuple& tuple, const lb_settings& settings, lb_family family)
        : wanted_(as_it_lies(tuple)), protocol_(tuple.protocol) {
        std::array<uint32_t, sizeof(Tuple) / sizeof(uint32_t)> key{};
        std::memcpy(key.data(), &wanted_, sizeof(wanted_));
        const uint64_t hash = lb_flow_hash(key.data(), key.size(), protocol_, settings.hash_seed);
        index_ = lb_flow_index(hash, settings.flow_buckets[family]);
        tag_ = lb_flow_tag(hash);
    }

    // The number of its first entry; it has LB_WAYS.
    [[nodiscard]] uint32_t first() const { return index_ & ~(LB_WAYS - 1); }
    // What its places have in the map of tags.
    [[nodiscard]] uint8_t tag() const { return tag_; }

    // Calls `each` with every place, in the programs' order, that seems to be the flow's, until it says
    // that this was it. `words` are those of the bucket.
    template <typename Each>
    void scan(uint64_t* words, Each each) const {
        for (uint32_t way = 0; way < LB_WAYS; ++way) {
            uint64_t* place = words + (((index_ + way) & (LB_WAYS - 1)) * stride);
            if (is_of(glance<Entry>(place)) && each(place)) {
                return;
            }
        }
    }
    [[nodiscard]] bool is_of(const Entry& entry) const {
        return entry.flow.protocol == protocol_ &&
               std::memcmp(&entry.from, &wanted_, sizeof(wanted_)) == 0;
    }

  private:
    static Tuple as_it_lies(const FlowTuple& tuple) {
        Tuple lies{};
        std::memcpy(&lies.source, tuple.source.bytes().data(), sizeof(lies.source));
        std::memcpy(&lies.destination, tuple.destination.bytes().data(), sizeof(lies.destination));
        lies.source_port = htons(tuple.source_port);
        lies.destination_port = htons(tuple.destination_port);
        return lies;
    }
    Tuple wanted_;
    uint8_t protocol_;
    uint32_t index_ = 0; // of the place that packets look at first
    uint8_t tag_ = 0;
};

inline constexpr size_t flow_lease_word = offsetof(lb_flow, lease) / sizeof(uint64_t);
static_assert(sizeof(lb_lease) == sizeof(uint64_t));

} // namespace linkbal
