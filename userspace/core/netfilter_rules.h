// SPDX-License-Identifier: GPL-2.0-or-later
// The table `inet INSTANCE` as values: which chains and rules make conntrack the authority on the
// uplink of a connection. kernel/nftables sends them, nft_notation() shows them.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/gateway_state.h"

namespace linkbal {

// A named counter counts connections, because its rule sees first packets only.
inline constexpr std::string_view arrived_prefix = "arrived_";
inline constexpr std::string_view left_prefix = "left_";

// A set of TCP connections that ended with their uplink, as the LAN's packets have them: client and
// server address, client and server port. Elements come and go at run time (kernel/resets.h) and
// are no part of the table's description.
struct DeadSet {
    Family family = Family::ipv4;
    auto operator<=>(const DeadSet&) const = default;
};
// What is silent for longer is left to its own timeouts.
inline constexpr std::chrono::minutes dead_set_timeout{5};
// Two uplinks that end within the timeout, each with as many connections as are collected at once.
inline constexpr uint32_t dead_set_size = 2 * 65536;
std::string_view dead_set_name(Family family);

// How the comment of our table begins: by it the table is known as ours.
inline constexpr std::string_view table_signature = "written by linkbal";

struct MarkTarget {
    uint32_t mark = 0;
    std::string chain;
};
struct DeviceTarget {
    std::string device;
    std::string chain;
};
enum class Direction { in, out };

// The kinds of rules there are.
struct DispatchByMark { // ct mark & mask vmap { mark : goto chain, ... }
    uint32_t mask = 0;
    std::vector<MarkTarget> targets;
};
struct DispatchByDevice { // iifname/oifname vmap { device : goto chain, ... }
    Direction direction = Direction::in;
    std::vector<DeviceTarget> targets;
};
struct AcceptFromDevices { // iifname { device, ... } accept
    std::vector<std::string> devices;
};
struct RestoreMark { // meta mark set meta mark & ~mask | mark
    uint32_t mask = 0;
    uint32_t mark = 0;
};
struct SaveMark { // ct mark set ct mark & ~mask | mark counter name "counter"
    uint32_t mask = 0;
    uint32_t mark = 0;
    std::string counter;
};
struct Masquerade { // ip saddr source masquerade
    Prefix source;
};
struct CatchMidStream { // ct state invalid,new tcp flags ! syn goto chain
    std::string chain;
};
struct ResetDead { // ip saddr . ip daddr . tcp sport . tcp dport @dead4 reject with tcp reset
    Family family = Family::ipv4;
};
using NftStatement = std::variant<DispatchByMark, DispatchByDevice, AcceptFromDevices, RestoreMark,
                                  SaveMark, Masquerade, CatchMidStream, ResetDead>;

struct NftRule {
    NftStatement statement;
    std::string comment; // at most 127 characters, without quotes; empty: none
};

enum class NftChainType { filter, route, nat };
enum class NftHookPoint { prerouting, output, postrouting };
struct NftHook { // the policy is always accept: whether a packet may pass is the firewall's
                 // business
    NftChainType type = NftChainType::filter;
    NftHookPoint point = NftHookPoint::prerouting;
    int32_t priority = 0;
};

struct NftChain {
    std::string name;
    std::string comment;
    std::optional<NftHook> hook; // none: reached by goto
    std::vector<NftRule> rules;
};
struct NftRuleset {
    std::string comment;
    std::vector<std::string> counters;
    std::vector<DeadSet> sets;
    std::vector<NftChain> chains; // a chain comes after the chains that it goes to
};

NftRuleset netfilter_ruleset(const NetfilterState& state);

std::string_view nft_word(NftChainType type);
std::string_view nft_word(NftHookPoint point);

// `table inet TABLE { ... }`, as `nft -f` takes it.
std::string nft_notation(const std::string& table, const NftRuleset& ruleset);

} // namespace linkbal
