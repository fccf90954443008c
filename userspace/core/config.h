// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration as values. core/config_file.h reads it from TOML, core/config_check.h judges
// it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"

namespace linkbal {

// Where something stands in the configuration file; lines and columns count from 1, 0 is "nowhere".
struct Position {
    uint32_t line = 0;
    uint32_t column = 0;
    bool operator==(const Position&) const = default;
};

struct LanConfig {
    std::vector<std::string> interfaces;
    std::vector<Prefix> networks; // empty: the subnets of the interfaces
};

struct UplinkConfig {
    std::string name; // also the name of its routing table
    std::string interface;
    std::optional<IpAddress> gateway;  // empty: followed from the interface
    std::optional<IpAddress> gateway6; // empty: followed from the interface
    std::optional<uint32_t> table;     // empty: chosen
    uint32_t weight = 1;               // 1 to 1000
    uint32_t tier = 1;                 // 1 to 255; only those of active_tier() get connections
};

// Priorities that our ip rules may take, counted from BalanceConfig::rule_priority.
inline constexpr uint32_t rule_priorities = 10;

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
    uint32_t rule_priority = 10000;            // first of rule_priorities ip rules, 1 to 32000
};

struct Config {
    LanConfig lan;
    std::vector<UplinkConfig> uplinks;
    BalanceConfig balance;
    // Where each value stands in the file, by path: "lan.interfaces[0]", "uplink[1].gateway",
    // "balance.mark_mask". A path that is absent was not written in the file.
    // The sections themselves are "lan", "uplink[1]" and "balance".
    std::map<std::string, Position> positions;
};

// The lowest tier of all uplinks; the uplinks of the others stand by. 0 without uplinks.
[[nodiscard]] uint32_t active_tier(const Config& config);

} // namespace linkbal
