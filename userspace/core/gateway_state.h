// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel is told, as values. The desired state is computed from configuration and facts,
// the actual state is read from the kernel, and core/plan.h compares the two.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/config.h"
#include "core/netfilter_state.h"

namespace linkbal {

// rtnetlink's protocol number on our routes and rules, by which they are known as ours. Unassigned in
// linux/rtnetlink.h and in iproute2's rt_protos ("L" in ASCII).
inline constexpr uint8_t route_protocol = 76;

inline constexpr uint32_t main_table = 254;

struct NextHop {
    // Empty: the device is point-to-point. An IPv4 route's may be an IPv6 address.
    std::optional<IpAddress> gateway;
    std::string device;
    uint32_t weight = 1; // 1 to 256, as the kernel takes it
    auto operator<=>(const NextHop&) const = default;
};

struct Route {
    uint32_t table = main_table;
    Prefix destination;
    std::vector<NextHop> hops; // one, or several for multipath; sorted by device; none: unreachable
    std::optional<IpAddress> preferred_source;
    uint32_t metric = 0;
    auto operator<=>(const Route&) const = default;
};

// One `ip rule`. Unset members do not take part in the match.
struct Rule {
    Family family = Family::ipv4;
    uint32_t priority = 0;
    std::optional<Prefix> source;
    uint32_t mark = 0;
    uint32_t mark_mask = 0; // 0: no match on the mark
    std::string input_interface;
    std::string output_interface; // of sockets that are bound to a device
    uint32_t table = main_table;
    std::optional<uint32_t> suppress_prefix_length;
    bool inverted = false; // "not": for packets that do not match; never ours
    auto operator<=>(const Rule&) const = default;
};

struct Sysctl {
    std::string key; // path below /proc/sys, "net/ipv4/ip_forward"
    std::string value;
    auto operator<=>(const Sysctl&) const = default;
};

struct DatapathUplink {
    uint32_t id = 0; // 1 to 255
    std::string name;
    std::string device;
    uint32_t weight = 0;
    auto operator<=>(const DatapathUplink&) const = default;
};

// How packets of open connections are forwarded. classify: as the kernel does it; the others: by the flow
// cache, in front of it.
enum class Forwarding : uint8_t { classify, tc, xdp };
std::string_view forwarding_name(Forwarding forwarding);

// What the flow cache knows of a device.
struct DatapathDevice {
    std::string name;
    Forwarding forwarding = Forwarding::classify;
    bool ethernet = true; // else frames begin with the IP header
    std::array<uint8_t, 6> mac{};
    std::array<uint16_t, 2> mtu{}; // by Family, bytes
    auto operator<=>(const DatapathDevice&) const = default;
};

// Bucket -> uplink id; LB_BUCKETS entries, or none where the family has no uplink.
using BucketAssignment = std::vector<uint16_t>;

struct DatapathState {
    uint32_t mark_mask = 0;
    HashMode hash = HashMode::connection;
    bool use_tcx = true;
    bool conntrack_lookup = true;   // the kernel has bpf_skb_ct_lookup()
    bool conntrack_timeout = false; // and bpf_ct_change_timeout()
    bool fast_path = false;         // needs conntrack_lookup
    // Of the flow cache, by Family: buckets of LB_WAYS entries.
    std::array<uint32_t, 2> flow_buckets{1, 1};
    uint32_t tcp_timeout = 0; // conntrack's for established connections, seconds; fast path only
    std::vector<std::string> lan_devices;
    std::vector<DatapathUplink> uplinks;     // sorted by id
    std::vector<DatapathDevice> devices;     // of the LAN and of the uplinks, sorted by name
    std::array<BucketAssignment, 2> buckets; // by Family
    std::vector<Prefix> bypass;              // sorted
    bool operator==(const DatapathState&) const = default;
};

// /etc/iproute2/rt_tables.d/INSTANCE.conf
struct TableName {
    uint32_t table = 0;
    std::string name;
    auto operator<=>(const TableName&) const = default;
};

} // namespace linkbal
