// SPDX-License-Identifier: GPL-2.0-or-later
#include "flow_cache.h"

#include <array>
#include <cstring>
#include <vector>

#include "support/catch.h"
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>

#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "linkbal/hash.h"

namespace linkbal::test {

namespace {

constexpr uint32_t seed = 0x12345678;

Fd make_map(const char* name, uint32_t value_size, uint32_t entries, bool mapped) {
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.map_flags = mapped ? BPF_F_MMAPABLE : 0;
    Fd map(
        bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_size, entries, &options));
    REQUIRE(map);
    return map;
}

template <typename Tuple>
Tuple as_it_lies(const FlowTuple& tuple) {
    Tuple lies{};
    std::memcpy(&lies.source, tuple.source.bytes().data(), tuple.source.bytes().size());
    std::memcpy(&lies.destination, tuple.destination.bytes().data(),
                tuple.destination.bytes().size());
    lies.source_port = htons(tuple.source_port);
    lies.destination_port = htons(tuple.destination_port);
    return lies;
}

template <typename Tuple>
uint64_t hash_of(const FlowTuple& tuple) {
    const auto lies = as_it_lies<Tuple>(tuple);
    std::array<uint32_t, sizeof(Tuple) / 4> words{};
    std::memcpy(words.data(), &lies, sizeof(lies));
    return lb_flow_hash(words.data(), words.size(), tuple.protocol, seed);
}

template <typename Entry>
void write(const Fd& map, uint32_t place, const FlowTuple& tuple, const lb_flow& flow) {
    Entry entry{};
    entry.flow = flow;
    entry.flow.protocol = tuple.protocol;
    entry.from = as_it_lies<decltype(entry.from)>(tuple);
    REQUIRE(map_update(map, place, entry));
}

bool is_ipv4(const FlowTuple& tuple) { return tuple.source.family() == Family::ipv4; }

uint64_t flow_hash(const FlowTuple& tuple) {
    return is_ipv4(tuple) ? hash_of<lb_tuple4>(tuple) : hash_of<lb_tuple6>(tuple);
}

} // namespace

FlowTuple tuple_of(const std::string& source, uint16_t source_port, const std::string& destination,
                   uint16_t destination_port, uint8_t protocol) {
    return {IpAddress::parse(source).value(), IpAddress::parse(destination).value(), source_port,
            destination_port, protocol};
}

FlowCache::FlowCache(bool fast_path)
    : directory_(std::string(bpffs_path) + "/linkbal-test"),
      settings_(make_map("settings", sizeof(lb_settings), 1, false)),
      ipv4_(make_map("flows_ipv4", sizeof(lb_flow4), buckets * LB_WAYS, true)),
      ipv6_(make_map("flows_ipv6", sizeof(lb_flow6), buckets * LB_WAYS, true)),
      tags4_(make_map("tags_ipv4", sizeof(lb_tags), buckets, false)),
      tags6_(make_map("tags_ipv6", sizeof(lb_tags), buckets, false)),
      epochs_(make_map("epochs", sizeof(uint32_t), LB_UPLINK_IDS, false)) {
    REQUIRE(unshare(CLONE_NEWNS) == 0);
    REQUIRE(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    REQUIRE(mount("bpf", bpffs_path, "bpf", 0, nullptr) == 0);
    lb_settings settings{};
    settings.abi_version = LB_ABI_VERSION;
    settings.hash_seed = seed;
    settings.fast_path = fast_path ? 1 : 0;
    settings.flow_buckets[LB_IPV4] = settings.flow_buckets[LB_IPV6] = buckets;
    settings.tick_shift = 2;
    REQUIRE(map_update(settings_, uint32_t{0}, settings));
    REQUIRE(make_directory(directory_));
    REQUIRE(replace_pin(settings_.get(), directory_ + "/settings"));
    REQUIRE(replace_pin(ipv4_.get(), directory_ + "/flows_ipv4"));
    REQUIRE(replace_pin(ipv6_.get(), directory_ + "/flows_ipv6"));
    REQUIRE(replace_pin(tags4_.get(), directory_ + "/tags_ipv4"));
    REQUIRE(replace_pin(tags6_.get(), directory_ + "/tags_ipv6"));
    REQUIRE(replace_pin(epochs_.get(), directory_ + "/epochs"));
}

FlowCache::~FlowCache() { umount2(bpffs_path, MNT_DETACH); }

const Fd& FlowCache::flows(const FlowTuple& tuple) const { return is_ipv4(tuple) ? ipv4_ : ipv6_; }

uint32_t FlowCache::place(const FlowTuple& tuple, uint32_t way) const {
    const uint32_t index = lb_flow_index(flow_hash(tuple), buckets);
    return index / LB_WAYS * LB_WAYS + (index + way) % LB_WAYS;
}

void FlowCache::put(const FlowTuple& tuple, const lb_flow& flow, uint32_t way) {
    const uint32_t there = place(tuple, way);
    is_ipv4(tuple) ? write<lb_flow4>(ipv4_, there, tuple, flow)
                   : write<lb_flow6>(ipv6_, there, tuple, flow);
    const Fd& map = is_ipv4(tuple) ? tags4_ : tags6_;
    auto tags = map_lookup<lb_tags>(map, there / LB_WAYS);
    REQUIRE(tags);
    (*tags)->way[there % LB_WAYS] = lb_flow_tag(flow_hash(tuple));
    REQUIRE(map_update(map, there / LB_WAYS, **tags));
}

void FlowCache::clear(const FlowTuple& tuple, uint32_t way) {
    const std::array<uint8_t, sizeof(lb_flow6)> nothing{};
    const uint32_t key = place(tuple, way);
    REQUIRE(bpf_map_update_elem(flows(tuple).get(), &key, nothing.data(), BPF_ANY) == 0);
}

lb_flow FlowCache::get(const FlowTuple& tuple, uint32_t way) const {
    std::array<uint8_t, sizeof(lb_flow6)> bytes{};
    const uint32_t key = place(tuple, way);
    REQUIRE(bpf_map_lookup_elem(flows(tuple).get(), &key, bytes.data()) == 0);
    lb_flow flow{};
    std::memcpy(&flow, bytes.data(), sizeof(flow));
    return flow;
}

bool FlowCache::is_alive(const FlowTuple& tuple) const {
    const lb_lease lease = get(tuple).lease;
    return lease.end != 0 || lease.renew != 0 || lease.epoch != 0;
}

uint32_t FlowCache::epoch(uint32_t uplink) const {
    return map_lookup<uint32_t>(epochs_, uplink).value().value();
}

} // namespace linkbal::test
