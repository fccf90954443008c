// SPDX-License-Identifier: GPL-2.0-or-later
// The table `inet TABLE` in the kernel's nftables. What is in it is core/netfilter_rules.h's
// business. Every function needs CAP_NET_ADMIN in the network namespace of the calling thread,
// opens its own socket, and leaves every other table alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/gateway_state.h"
#include "util/result.h"

namespace linkbal {

// foreign: a table of this name that linkbal did not write. It is not ours to replace or to remove.
enum class NetfilterMatch { absent, same, different, foreign };

// Connections since the table was first loaded, by the side that opened them.
struct ConnectionCounters {
    uint64_t arrived = 0; // opened from outside, first packet came in by this uplink
    uint64_t left = 0;    // opened from inside or by the gateway, first packet left by this uplink
    auto operator<=>(const ConnectionCounters&) const = default;
};

// A table as it was, in the kernel's own messages, ready to be sent again. Holds everything that
// nft can put into a table except flow tables.
struct NetfilterSnapshot {
    std::string table;
    std::vector<std::vector<uint8_t>> messages; // none: there was no such table
};

// Is the table in the kernel exactly what replace() would load? Chains, rules in their order, the
// elements of sets, counters, flags and comments are read back and compared one by one; the values
// of counters and the dead connections are not. Rules that this libnftnl cannot read are not ours:
// different.
Result<NetfilterMatch> compare(const std::string& table, const NetfilterState& state);

// Loads the table in one transaction: packets meet the old rules or the new ones, never none. On
// error the old table is as it was. The dead connections (kernel/resets.h) stay in their sets with
// what is left of their time. Counters that exist under the same name go on from their values
// (what they count in the milliseconds between the reading and the switch is lost).
Status replace(const std::string& table, const NetfilterState& state);

// No error where there is no such table.
Status remove(const std::string& table);

// By uplink name; empty where there is no such table.
Result<std::map<std::string, ConnectionCounters>> connection_counters(const std::string& table);

// Can this kernel have NetfilterState::resets? Asks by a transaction that is never committed:
// nothing is changed, nobody notified.
Result<bool> can_reject_in_prerouting();

// For a rollback: snapshot() before replace() or remove(), restore() when a later step failed.
// restore() puts the table back in one transaction, counters at their values of the snapshot's
// time, or removes it where there was none.
Result<NetfilterSnapshot> snapshot(const std::string& table);
Status restore(const NetfilterSnapshot& snapshot);

} // namespace linkbal
