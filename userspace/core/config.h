// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration as values. core/config_file.h reads it from TOML, core/config_check.h
// judges it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/dhcp/config.h"
#include "core/firewall_config.h"

namespace linkbal {

// Where something stands in the configuration file; lines and columns count from 1, 0 is "nowhere".
struct Position {
    uint32_t line = 0;
    uint32_t column = 0;
    bool operator==(const Position&) const = default;
};

// What was read, word for word: what is at work is remembered by it.
struct ConfigSource {
    std::string file; // for messages
    std::string text;
    bool operator==(const ConfigSource&) const = default;
};

struct LanConfig {
    std::vector<std::string> interfaces;
    std::vector<Prefix> networks; // empty: the subnets of the interfaces
};

enum class ProbeKind : uint8_t { none, icmp, tcp, dns, http };

struct ProbeTarget {
    std::optional<IpAddress> address; // empty: the gateway of the link, in each family that has one
    uint16_t port = 0;                // tcp, dns and http
    std::string path;                 // http: from the slash on
    auto operator<=>(const ProbeTarget&) const = default;
};

// How a link is judged; core/link_health.h and core/passive_health.h are the rules.
struct HealthConfig {
    ProbeKind probe = ProbeKind::icmp;
    std::vector<ProbeTarget> targets{ProbeTarget{}}; // of one family or of both
    std::chrono::milliseconds interval{500};         // 100 ms to 1 h
    std::chrono::milliseconds timeout{1000};         // 10 ms to 1 min; an answer after it is none
    uint32_t down_after = 3;                         // probes without an answer, 1 to 100
    uint32_t up_after = 5;                           // answers in a row, 1 to 100
    uint32_t quorum = 1;                             // targets of a family that must answer
    uint32_t window = 20;                            // probes, for the three that follow; 5 to 1000
    std::optional<uint32_t> max_loss;                // percent, 1 to 99
    std::optional<std::chrono::milliseconds> max_latency; // mean of the window
    std::optional<std::chrono::milliseconds> max_jitter;  // mean difference of successive answers
    std::string query = ".";        // dns: the name whose NS records are asked for
    std::optional<uint32_t> status; // http: 100 to 599; empty: any 2xx
    bool passive = true;            // real connections count too
    bool operator==(const HealthConfig&) const = default;
};

using CommandWords = std::vector<std::string>; // no shell between: program and arguments

struct UplinkConfig {
    std::string name; // also the name of its routing table
    std::string interface;
    std::optional<IpAddress> gateway;  // empty: followed from the interface
    std::optional<IpAddress> gateway6; // empty: followed from the interface
    std::optional<uint32_t> table;     // empty: chosen
    uint32_t weight = 1;               // 1 to 1000
    uint32_t tier = 1;                 // 1 to 255; only the lowest that carries a family is used
    HealthConfig health;               // [uplink.health] over [health] over the defaults
    // Run by the daemon, one after the other and link by link, before the link is used.
    CommandWords bring_up, log_in, test;
    std::chrono::milliseconds command_timeout{60000}; // of each of the three
    MssConfig mss;
};

// Priorities that our ip rules may take, counted from BalanceConfig::rule_priority.
inline constexpr uint32_t rule_priorities = 10;

// What the flow cache is made for where nobody says it.
inline constexpr uint32_t largest_default_cache = 262144;

enum class HashMode : uint8_t { connection, source, destination, source_destination };
enum class DatapathMode : uint8_t { automatic, xdp, tc, classify };
// How tc programs are attached: TCX links (kernel 6.6 and later) or clsact filters.
enum class AttachMode : uint8_t { automatic, tcx, clsact };

struct BalanceConfig {
    std::optional<uint32_t> table; // the multipath fallback; empty: chosen
    std::string table_name = "balance";
    HashMode hash = HashMode::connection;
    DatapathMode datapath = DatapathMode::automatic;
    AttachMode attach = AttachMode::automatic;
    std::optional<std::string> default_uplink; // empty: the first uplink
    uint32_t mark_mask = 0x00ff0000;           // one run of bits
    std::optional<uint32_t> cache;             // connections in the flow cache; empty: as conntrack
    uint32_t rule_priority = 10000;            // first of rule_priorities ip rules, 1 to 32000
};

// When no link is good: keep on with those that were the last to fail, or tell clients at once.
enum class AllDown : uint8_t { last, unreachable };
// When a lower tier is back: connections of the tiers that step back stay or are ended.
enum class OnReturn : uint8_t { stay, move };

struct FailoverConfig {
    AllDown all_down = AllDown::last;
    OnReturn on_return = OnReturn::stay;
    bool reset = true; // clients learn that their TCP connections died with the link
    bool operator==(const FailoverConfig&) const = default;
};

struct HooksConfig {
    CommandWords on_change;                   // empty: none
    std::chrono::milliseconds timeout{30000}; // then the whole process group is killed
    bool operator==(const HooksConfig&) const = default;
};

struct Config {
    ConfigSource source; // empty: not read from a text
    LanConfig lan;
    std::vector<UplinkConfig> uplinks;
    BalanceConfig balance;
    FailoverConfig failover;
    HooksConfig hooks;
    std::optional<FirewallConfig> firewall; // empty: there is another one, or none
    std::vector<ForwardConfig> forwards;
    std::vector<HelperConfig> helpers; // sorted
    std::optional<DhcpConfig> dhcp;    // empty: somebody else serves the LAN, or nobody
    // Where each value stands in the file, by path: "lan.interfaces[0]", "uplink[1].gateway",
    // "balance.mark_mask". A path that is absent was not written in the file.
    // The sections themselves are "lan", "uplink[1]" and "balance".
    std::map<std::string, Position> positions;
};

} // namespace linkbal
