// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/flow_ends.h"

#include <bit>
#include <utility>

#include "kernel/bpf_map.h"
#include "kernel/datapath_maps.h"
#include "kernel/flow_maps.h"
#include "kernel/flow_places.h"

namespace linkbal {

namespace {

// Whether an entry of the flow has a lease. Two system calls, mostly, where a window takes ten times as long,
// and of most connections that end none has one any more.
template <typename Entry>
Result<bool> has_lease(const Fd& tags, const Fd& flows, const FlowBucket<Entry>& bucket) {
    const auto tagged = map_lookup<lb_tags>(tags, bucket.first() / LB_WAYS);
    if (!tagged || !*tagged) {
        return tagged ? Result<bool>(false) : tl::unexpected(tagged.error());
    }
    for (uint32_t way = 0; way < LB_WAYS; ++way) {
        if ((*tagged)->way[way] != bucket.tag()) {
            continue;
        }
        const auto entry = map_lookup<Entry>(flows, bucket.first() + way);
        if (!entry) {
            return tl::unexpected(entry.error());
        }
        if (*entry && bucket.is_of(**entry) && std::bit_cast<uint64_t>((*entry)->flow.lease) != 0) {
            return true;
        }
    }
    return false;
}

} // namespace

FlowEnds::FlowEnds(const lb_settings& settings, Cache ipv4, Cache ipv6, Fd epochs)
    : settings_(settings), ipv4_(std::move(ipv4)), ipv6_(std::move(ipv6)),
      epochs_(std::move(epochs)) {}

template <typename Entry>
Result<FlowEnds::Cache> FlowEnds::open_cache(const std::string& directory, lb_family family,
                                             const lb_settings& settings) {
    const bool ipv4 = family == LB_IPV4;
    const size_t entries = size_t{settings.flow_buckets[family]} * LB_WAYS;
    auto tags = open_flow_map(directory, ipv4 ? "tags_ipv4" : "tags_ipv6");
    auto flows = open_flow_map(directory, ipv4 ? "flows_ipv4" : "flows_ipv6");
    if (!tags || !flows) {
        return tl::unexpected(tags ? flows.error() : tags.error());
    }
    auto window = MapWindow::create(*std::move(flows), entries, sizeof(Entry));
    return window ? Result<Cache>(Cache{*std::move(tags), *std::move(window)})
                  : tl::unexpected(window.error());
}

Result<std::optional<FlowEnds>> FlowEnds::open(const std::string& directory) {
    const auto settings = fast_path_settings(directory);
    if (!settings) {
        return tl::unexpected(settings.error());
    }
    if (!*settings) {
        return std::nullopt;
    }
    auto ipv4 = open_cache<lb_flow4>(directory, LB_IPV4, **settings);
    auto ipv6 = open_cache<lb_flow6>(directory, LB_IPV6, **settings);
    if (!ipv4 || !ipv6) {
        return tl::unexpected(ipv4 ? ipv6.error() : ipv4.error());
    }
    auto epochs = open_flow_map(directory, "epochs");
    if (!epochs) {
        return tl::unexpected(epochs.error());
    }
    return FlowEnds(**settings, *std::move(ipv4), *std::move(ipv6), *std::move(epochs));
}

// Where the place has become another flow's meanwhile, that one is learned again: no harm.
template <typename Entry>
Result<size_t> FlowEnds::end_in(Cache& cache, lb_family family, const FlowTuple& tuple) {
    const FlowBucket<Entry> bucket(tuple, settings_, family);
    const auto any = has_lease(cache.tags, cache.flows.map(), bucket);
    if (!any || !*any) {
        return any ? Result<size_t>(0) : tl::unexpected(any.error());
    }
    const auto words = cache.flows.at(bucket.first(), LB_WAYS);
    if (!words) {
        return tl::unexpected(words.error());
    }
    size_t ended = 0;
    bucket.scan(*words, [&](uint64_t* place) {
        ended += std::atomic_ref(place[flow_lease_word]).exchange(0) != 0 ? 1 : 0;
        return false;
    });
    return ended;
}

Result<size_t> FlowEnds::end_flow(const FlowTuple& tuple) {
    return tuple.source.family() == Family::ipv4 ? end_in<lb_flow4>(ipv4_, LB_IPV4, tuple)
                                                 : end_in<lb_flow6>(ipv6_, LB_IPV6, tuple);
}

Status FlowEnds::end_epoch(uint32_t uplink_id) { return bump_epoch(epochs_, uplink_id); }

Status FlowEnds::end_epochs() { return bump_epochs(epochs_); }

} // namespace linkbal
