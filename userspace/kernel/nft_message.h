// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables messages as values: built here, sent by kernel/nftables, compared by
// kernel/nft_describe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/nft_rule.h"
#include "kernel/nfnetlink.h"

namespace linkbal {

struct NftMessage {
    NfnetlinkMessage message;
    std::string what; // for errors: "chain leave_velox1"
};

struct CounterValue {
    uint64_t packets = 0;
    uint64_t bytes = 0;
    auto operator<=>(const CounterValue&) const = default;
};
using CounterValues = std::map<std::string, CounterValue>;

// What makes the table out of nothing: table, counters, chains, sets, rules, in an order in which
// nothing is named before it exists. Counters start at the values of their names in `counters`.
std::vector<NftMessage> nft_table_messages(const std::string& table, const NftRuleset& ruleset,
                                           const CounterValues& counters);

// A comment as the user data of tables, chains, rules and objects all begin with it: type 0, length,
// text. At most 254 bytes; empty: none.
std::vector<uint8_t> nft_comment(const std::string& comment);

NftMessage nft_delete_table(const std::string& table);

// One transaction. Message i of `messages` has sequence number i + 1; 0 is the frame's. The kernel
// refuses it with ERESTART when the ruleset is not of `generation` any more, if there is one.
std::vector<uint8_t> nft_batch(std::vector<NftMessage> messages,
                               std::optional<uint32_t> generation);

// The same without its end: the kernel checks every message and drops them all.
std::vector<uint8_t> nft_trial_batch(std::vector<NftMessage> messages);

} // namespace linkbal
