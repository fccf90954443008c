// SPDX-License-Identifier: GPL-2.0-or-later
#include "fast_world.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>

#include "devices.h"
#include "kernel/bpf_map.h"
#include "kernel/datapath_settings.h"
#include "linkbal/hash.h"
#include "support/plain_settings.h"
#include "test_instance.h"

namespace linkbal::test {

namespace {

// As a program sees it; jiffies are not told otherwise.
uint32_t jiffies(uint8_t shift) {
    const std::array<bpf_insn, 3> code{{{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_jiffies64},
                                        {BPF_ALU64 | BPF_RSH | BPF_K, 0, 0, 0, shift},
                                        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}};
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "jiffies", "GPL", code.data(),
                                   code.size(), nullptr));
    REQUIRE(program);
    Bytes packet(64, 0);
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = packet.data();
    options.data_size_in = static_cast<__u32>(packet.size());
    REQUIRE(bpf_prog_test_run_opts(program.get(), &options) == 0);
    return options.retval;
}

// Jiffies in a second.
uint32_t hertz() {
    timespec resolution{};
    REQUIRE(clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) == 0);
    return static_cast<uint32_t>(1'000'000'000 / resolution.tv_nsec);
}

// A clock that does not tick for a minute at least.
uint8_t standing_clock() {
    const uint32_t now = jiffies(0);
    uint8_t shift = 17;
    while ((now & ((1U << shift) - 1)) + 60'000 > 1U << shift) {
        ++shift;
    }
    return shift;
}

lb_settings settings_of(const WorldSetup& setup, uint8_t shift) {
    auto settings = plain_settings(embedded_object_id());
    settings.hash_seed = FastWorld::seed;
    settings.fast_path = 1;
    settings.flow_buckets[0] = settings.flow_buckets[1] = setup.buckets;
    settings.tcp_timeout = 1000;
    settings.tag = setup.tag;
    settings.tick_shift = shift;
    settings.has_timeout = setup.timeouts ? 1 : 0;
    return settings;
}

uint32_t make_device(const std::string& name, const std::string& peer, const std::string& mac) {
    make_veth(name, peer);
    command("ip link set " + name + " mtu 1500 && ip link set " + peer + " mtu 1500");
    command("ip link set " + name + " address " + mac);
    return if_nametoindex(name.c_str());
}

lb_interface interface(uint32_t ifindex, const Mac& mac, uint32_t uplink) {
    lb_interface value{};
    value.ifindex = ifindex;
    value.mtu[0] = value.mtu[1] = FastWorld::mtu;
    std::ranges::copy(mac, value.mac);
    value.uplink = static_cast<__u8>(uplink);
    value.ethernet = value.xdp = 1;
    return value;
}

const char* flows_map(Family family) {
    return family == Family::ipv4 ? "flows_ipv4" : "flows_ipv6";
}

lb_flow head_of(const Flow& flow, uint32_t now) {
    lb_flow head{};
    const bool from_lan = flow.from == From::lan;
    head.lease = {.end = now + FastWorld::lease, .renew = 0, .epoch = FastWorld::epoch};
    head.ingress = static_cast<__u16>(from_lan ? FastWorld::lan_slot : FastWorld::wan_slot);
    head.egress = static_cast<__u16>(from_lan ? FastWorld::wan_slot : FastWorld::lan_slot);
    std::ranges::copy(flow.out.to, head.mac);
    head.protocol = flow.in.protocol;
    head.uplink = FastWorld::uplink;
    head.version = {
        .ttl = flow.out.ttl, .dscp = static_cast<__u8>(flow.out.tos & 0xfc), .generation = 6};
    return head;
}

template <typename Entry>
Bytes bytes_of_entry(const Entry& entry) {
    const auto* begin = reinterpret_cast<const uint8_t*>(&entry);
    return {begin, begin + sizeof(entry)};
}

Bytes entry_of(const Flow& flow, uint32_t now) {
    if (flow.in.family == Family::ipv4) {
        return bytes_of_entry(lb_flow4{
            .flow = head_of(flow, now), .from = tuple4(flow.in.ends), .to = tuple4(flow.out.ends)});
    }
    return bytes_of_entry(lb_flow6{.flow = head_of(flow, now),
                                   .from = tuple6(flow.in.ends),
                                   .to = tuple6(flow.out.ends),
                                   .padding = {}});
}

} // namespace

FastWorld::FastWorld(const WorldSetup& setup) : buckets_(setup.buckets) {
    shift_ = setup.still ? standing_clock() : lease_clock(hertz()).shift;
    object_ = need(load_object(settings_of(setup, shift_), {}));
    lan_ = make_device("lan0", "host0", "02:00:00:00:00:01");
    wan_ = make_device("wan0", "router0", "02:00:00:00:00:11");
    make_interfaces();
    set_epoch(epoch);
}

// BPF_PROG_TEST_RUN takes only a device that has a queue for XDP, which a veth makes for a program.
void FastWorld::make_interfaces() {
    for (const uint32_t ifindex : {lan_, wan_}) {
        const int program = object_.programs.find("lb_fast_xdp")->second.get();
        REQUIRE(bpf_xdp_attach(static_cast<int>(ifindex), program, XDP_FLAGS_DRV_MODE, nullptr) ==
                0);
    }
    set_interface(lan_slot, interface(lan_, lan_mac, LB_NO_UPLINK));
    set_interface(wan_slot, interface(wan_, wan_mac, uplink));
    set_redirect(lan_slot, lan_);
    set_redirect(wan_slot, wan_);
    need(map_update(map("devices"), lan_, lb_device{.uplink = LB_NO_UPLINK, .slot = lan_slot}));
    need(map_update(map("devices"), wan_, lb_device{.uplink = uplink, .slot = wan_slot}));
}

const Fd& FastWorld::map(std::string_view name) const { return object_.maps.find(name)->second; }

void FastWorld::set_forwarding(Way lan, Way wan) {
    for (const auto& [slot, way] : {std::pair{lan_slot, lan}, std::pair{wan_slot, wan}}) {
        auto value = interface_at(slot);
        value.xdp = way == Way::xdp ? 1 : 0;
        set_interface(slot, value);
    }
}

FastOutcome FastWorld::run(Way way, From from, const Bytes& frame) {
    set_forwarding(way, way);
    return run_mixed(way, from, frame);
}

FastOutcome FastWorld::run_mixed(Way way, From from, const Bytes& frame) {
    const uint32_t ifindex = from == From::lan ? lan_ : wan_;
    const auto before = reasons();
    auto outcome =
        way == Way::xdp
            ? run_xdp(ifindex, frame)
            : run_fast_tc(from == From::lan ? "lb_fast_lan" : "lb_fast_uplink", ifindex, frame);
    const auto after = reasons();
    uint64_t counted = 0;
    outcome.reason = LB_FAST_FORWARDED;
    for (size_t i = 0; i < LB_FASTS; ++i) {
        const uint64_t packets = after[i].packets - before[i].packets;
        CHECK(after[i].bytes - before[i].bytes == packets * frame.size());
        outcome.reason = packets != 0 ? static_cast<lb_fast>(i) : outcome.reason;
        counted += packets;
    }
    outcome.reason = counted <= 1 ? outcome.reason : LB_FASTS;
    return outcome;
}

FastOutcome FastWorld::run_xdp(uint32_t ifindex, const Bytes& frame) {
    Bytes in = frame;
    FastOutcome outcome{.frame = Bytes(frame.size() + 256)};
    xdp_md context{};
    context.data_end = static_cast<__u32>(frame.size());
    context.ingress_ifindex = ifindex;
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = in.data();
    options.data_size_in = static_cast<__u32>(in.size());
    options.data_out = outcome.frame.data();
    options.data_size_out = static_cast<__u32>(outcome.frame.size());
    options.ctx_in = &context;
    options.ctx_size_in = sizeof(context);
    REQUIRE(bpf_prog_test_run_opts(object_.programs.find("lb_fast_xdp")->second.get(), &options) ==
            0);
    outcome.frame.resize(options.data_size_out);
    outcome.action = static_cast<int>(options.retval);
    return outcome;
}

FastOutcome FastWorld::run_fast_tc(const char* program, uint32_t ifindex, const Bytes& frame) {
    FastOutcome outcome{.frame = frame};
    __sk_buff context{};
    context.ifindex = ifindex;
    context.mark = mark;
    outcome.action = run_tc(program, outcome.frame, context);
    outcome.mark = context.mark;
    outcome.priority = context.priority;
    return outcome;
}

int FastWorld::run_tc(const char* program, Bytes& frame, __sk_buff& context) {
    Bytes out(frame.size() + 256);
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<__u32>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<__u32>(out.size());
    options.ctx_in = options.ctx_out = &context;
    options.ctx_size_in = options.ctx_size_out = sizeof(context);
    INFO(program << " on a frame of " << frame.size() << " bytes");
    REQUIRE(bpf_prog_test_run_opts(object_.programs.find(program)->second.get(), &options) == 0);
    out.resize(options.data_size_out);
    frame = out;
    return static_cast<int>(options.retval);
}

Place FastWorld::place_of(const Flow& flow, uint32_t further) const {
    const Bytes entry = entry_of(flow, 0);
    const bool ipv4 = flow.in.family == Family::ipv4;
    std::array<uint32_t, 9> words{};
    const uint32_t count = ipv4 ? 3 : 9;
    std::memcpy(words.data(), entry.data() + sizeof(lb_flow), count * sizeof(uint32_t));
    const uint64_t hash = lb_flow_hash(words.data(), count, flow.in.protocol, seed);
    const uint32_t index = lb_flow_index(hash, buckets_);
    const uint32_t bucket = index / LB_WAYS * LB_WAYS;
    return {.family = flow.in.family,
            .index = bucket + (index + further) % LB_WAYS,
            .tag = lb_flow_tag(hash)};
}

Place FastWorld::put(const Flow& flow, uint32_t further) {
    const Place place = place_of(flow, further);
    write_raw(place, entry_of_flow(flow));
    set_tag(place, place.tag);
    return place;
}

Bytes FastWorld::raw_entry(Place place) const {
    Bytes bytes(place.family == Family::ipv4 ? sizeof(lb_flow4) : sizeof(lb_flow6));
    REQUIRE(bpf_map_lookup_elem(map(flows_map(place.family)).get(), &place.index, bytes.data()) ==
            0);
    return bytes;
}

void FastWorld::write_raw(Place place, const Bytes& bytes) {
    REQUIRE(bpf_map_update_elem(map(flows_map(place.family)).get(), &place.index, bytes.data(),
                                BPF_ANY) == 0);
}

Bytes FastWorld::entry_of_flow(const Flow& flow) const { return entry_of(flow, now()); }

uint8_t FastWorld::tag_at(Place place) const {
    const Fd& tags = map(place.family == Family::ipv4 ? "tags_ipv4" : "tags_ipv6");
    return need(map_lookup<lb_tags>(tags, place.index / LB_WAYS))->way[place.index % LB_WAYS];
}

void FastWorld::set_tag(Place place, uint8_t tag) {
    const Fd& tags = map(place.family == Family::ipv4 ? "tags_ipv4" : "tags_ipv6");
    const uint32_t bucket = place.index / LB_WAYS;
    auto value = need(map_lookup<lb_tags>(tags, bucket)).value();
    value.way[place.index % LB_WAYS] = tag;
    need(map_update(tags, bucket, value));
}

lb_flow FastWorld::flow_at(Place place) const {
    lb_flow flow{};
    std::memcpy(&flow, raw_entry(place).data(), sizeof(flow));
    return flow;
}

uint32_t FastWorld::now() const { return jiffies(shift_); }

lb_uplink_counters FastWorld::counters() const {
    lb_uplink_counters sum{};
    for (const auto& one :
         need(map_lookup_per_cpu<lb_uplink_counters>(map("uplink_counters"), uplink))) {
        sum.tx_packets += one.tx_packets;
        sum.tx_bytes += one.tx_bytes;
        sum.rx_packets += one.rx_packets;
        sum.rx_bytes += one.rx_bytes;
        sum.fast += one.fast;
    }
    return sum;
}

std::vector<lb_verdict_counters> FastWorld::reasons() const {
    std::vector<lb_verdict_counters> sums(LB_FASTS);
    for (uint32_t i = 0; i < LB_FASTS; ++i) {
        for (const auto& one :
             need(map_lookup_per_cpu<lb_verdict_counters>(map("fast_counters"), i))) {
            sums[i].packets += one.packets;
            sums[i].bytes += one.bytes;
        }
    }
    return sums;
}

lb_interface FastWorld::interface_at(uint32_t slot) const {
    return need(map_lookup<lb_interface>(map("interfaces"), slot)).value();
}

void FastWorld::set_interface(uint32_t slot, const lb_interface& value) {
    need(map_update(map("interfaces"), slot, value));
}

void FastWorld::set_epoch(uint32_t value) { need(map_update(map("epochs"), uplink, value)); }

lb_lease_control FastWorld::lease_control() const {
    return need(map_lookup<lb_lease_control>(map("lease"), uint32_t{0})).value();
}
void FastWorld::set_lease_control(const lb_lease_control& value) {
    need(map_update(map("lease"), uint32_t{0}, value));
}

double FastWorld::ticks_per_second() const { return static_cast<double>(hertz()) / (1U << shift_); }

void FastWorld::set_redirect(uint32_t slot, uint32_t ifindex) {
    need(ifindex != 0 ? map_update(map("redirects"), slot, ifindex)
                      : map_delete(map("redirects"), slot));
}

} // namespace linkbal::test
