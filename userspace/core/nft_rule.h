// SPDX-License-Identifier: GPL-2.0-or-later
// The part of nftables' language that we speak, as values: a rule is a row of parts, matches first,
// then what is done. kernel/nft_message sends them, nft_notation() shows them. Parts of the inet
// family see packets of both families, so whatever looks into a header says of which one.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/firewall_config.h"

namespace linkbal {

// --- sets -------------------------------------------------------------------------------------

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

// Networks of one family that neither nest nor are twice; sorted.
struct PrefixSet {
    std::string name;
    Family family = Family::ipv4;
    std::vector<Prefix> networks;
    bool operator==(const PrefixSet&) const = default;
};

// Sources that a rule counts, each with a limit of its own. Filled by packets.
struct SourceSet {
    std::string name;
    Family family = Family::ipv4;
    std::chrono::seconds timeout{60}; // a source that is silent for longer begins anew
    bool operator==(const SourceSet&) const = default;
};
inline constexpr uint32_t source_set_size = 65536;

using NftSet = std::variant<DeadSet, PrefixSet, SourceSet>;

// --- matches ----------------------------------------------------------------------------------

enum class Direction : uint8_t { in, out };
enum class AddressField : uint8_t { source, destination };

// Bits of `ct state`, as the kernel has them (NF_CT_STATE_BIT, NF_CT_STATE_INVALID_BIT).
inline constexpr uint32_t ct_invalid = 1;
inline constexpr uint32_t ct_established = 2;
inline constexpr uint32_t ct_related = 4;
inline constexpr uint32_t ct_new = 8;

struct MarkTarget {
    uint32_t mark = 0;
    std::string chain;
};
struct DeviceTarget {
    std::string device;
    std::string chain;
};
struct DispatchByMark { // ct mark & mask vmap { mark : goto chain, ... }
    uint32_t mask = 0;
    std::vector<MarkTarget> targets;
};
struct DispatchByDevice { // iifname/oifname vmap { device : goto chain, ... }
    Direction direction = Direction::in;
    std::vector<DeviceTarget> targets;
};
struct OnDevices { // iifname "device", oifname { "device", ... }
    Direction direction = Direction::in;
    std::vector<std::string> devices;
};
struct OfFamily { // meta nfproto ipv4
    Family family = Family::ipv4;
};
struct OfProtocol { // meta l4proto 2
    uint8_t number = 0;
};
struct OfState { // ct state invalid,new
    uint32_t states = 0;
};
struct WithDestinationMapped {}; // ct status dnat
struct WithMark {                // meta mark & mask == mark
    uint32_t mask = 0;
    uint32_t mark = 0;
};
struct IsFragment { // ip frag-off & 0x3fff != 0; exthdr frag exists
    Family family = Family::ipv4;
};
struct FromNetwork { // ip saddr 192.0.2.0/24; the whole of a family is the family
    Prefix network = Prefix::any(Family::ipv4);
};
struct ToNetwork { // ip daddr 192.0.2.0/24; the whole of a family is the family
    Prefix network = Prefix::any(Family::ipv4);
};
struct InSet { // ip saddr @set, ip daddr != @set
    AddressField field = AddressField::source;
    Family family = Family::ipv4;
    std::string set;
    bool inverted = false;
};
struct IsLocal { // fib saddr type local
    AddressField field = AddressField::source;
};
struct ToPorts { // tcp dport 22, udp dport { 53, 8000-8010 }
    Transport transport = Transport::tcp;
    std::vector<PortRange> ports; // sorted, disjoint
};
struct BetweenPorts { // udp sport 67 udp dport 68
    Transport transport = Transport::tcp;
    uint16_t source = 0;
    uint16_t destination = 0;
};
struct OfIcmpTypes { // icmp type 8, icmpv6 type { 133, 134 }
    Family family = Family::ipv4;
    std::vector<uint8_t> types; // sorted
};
struct WithTcpFlags { // tcp flags & (syn | rst) == syn, tcp flags ! syn
    uint8_t mask = 0;
    uint8_t value = 0;
};
inline constexpr uint8_t tcp_syn = 2;
inline constexpr uint8_t tcp_rst = 4;
struct OfDeadConnection { // ip saddr . ip daddr . tcp sport . tcp dport @dead4
    Family family = Family::ipv4;
};
// Matches what is within the limit of its source, and counts it; not where the set is full of others.
// IPv6: one limit for a /64.
struct WithinSourceLimit { // update @set { ip saddr limit rate 10/minute burst 5 packets }
    std::string set;
    Family family = Family::ipv4;
    ConnectionRate rate;
};
inline constexpr uint32_t limit_burst = 5; // nft's default

// --- what is done -----------------------------------------------------------------------------

struct SetMark { // meta mark set meta mark & ~mask | mark
    uint32_t mask = 0;
    uint32_t mark = 0;
};
struct SaveMark { // ct mark set ct mark & ~mask | mark
    uint32_t mask = 0;
    uint32_t mark = 0;
};
struct Count { // counter name "counter"
    std::string counter;
};
struct Log { // limit rate 10/second burst 5 packets log prefix "prefix"
    std::string prefix;
};
inline constexpr uint32_t logged_per_second = 10;
struct ClampMss {      // tcp option maxseg size set rt mtu
    uint16_t size = 0; // bytes of payload; 0: of the path
};
struct AssignHelper { // ct helper set "ftp"
    std::string object;
};
struct Accept {};
struct Drop {};
struct GoTo { // goto chain
    std::string chain;
};
struct Masquerade {};
struct MapDestination { // dnat ip to 192.168.0.10:80
    IpAddress address = IpAddress::any(Family::ipv4);
    std::optional<uint16_t> port; // empty: that of the packet
};
struct ResetTcp {};  // reject with tcp reset; prerouting: kernel 5.9
struct RejectNet {}; // reject with icmpx admin-prohibited

using NftPart =
    std::variant<DispatchByMark, DispatchByDevice, OnDevices, OfFamily, OfProtocol, OfState,
                 WithDestinationMapped, WithMark, IsFragment, FromNetwork, ToNetwork, InSet,
                 IsLocal, ToPorts, BetweenPorts, OfIcmpTypes, WithTcpFlags, OfDeadConnection,
                 WithinSourceLimit, SetMark, SaveMark, Count, Log, ClampMss, AssignHelper, Accept,
                 Drop, GoTo, Masquerade, MapDestination, ResetTcp, RejectNet>;

// --- rules, chains, tables --------------------------------------------------------------------

struct NftRule {
    std::vector<NftPart> parts;
    std::string comment; // at most 127 characters, without quotes; empty: none
};

enum class NftChainType : uint8_t { filter, route, nat };
enum class NftHookPoint : uint8_t { prerouting, input, forward, output, postrouting };
enum class NftPolicy : uint8_t { accept, drop };
struct NftHook {
    NftChainType type = NftChainType::filter;
    NftHookPoint point = NftHookPoint::prerouting;
    int32_t priority = 0;
    NftPolicy policy = NftPolicy::accept;
};
struct NftChain {
    std::string name;
    std::string comment;
    std::optional<NftHook> hook; // none: reached by goto
    std::vector<NftRule> rules;
};

// A conntrack helper that rules can assign.
struct HelperObject {
    std::string name;
    std::string helper; // the kernel's name
    Transport transport = Transport::tcp;
    bool operator==(const HelperObject&) const = default;
};

struct NftRuleset {
    std::string comment;
    std::vector<std::string> counters;
    std::vector<HelperObject> helpers;
    std::vector<NftSet> sets;
    std::vector<NftChain> chains; // a chain comes after the chains that it goes to
};

std::string_view nft_word(NftChainType type);
std::string_view nft_word(NftHookPoint point);
std::string_view nft_word(Transport transport);
std::string nft_set_name(const NftSet& set);

// `table inet TABLE { ... }`, as `nft -f` takes it.
std::string nft_notation(const std::string& table, const NftRuleset& ruleset);

} // namespace linkbal
