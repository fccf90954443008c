// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables messages for sets and what is in them, as values. Those of dead connections are in
// kernel/dead_set.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/nft_rule.h"
#include "kernel/nft_message.h"

namespace linkbal {

// As the kernel keeps it: a key in network byte order (marks and names: as in memory), and what
// makes it more than a member.
struct NftElement {
    std::vector<uint8_t> key;
    std::string chain{};     // of verdict maps: where to go
    bool ends_range = false; // the first key that a range no longer has
};
using NftElements = std::vector<NftElement>;

NftElement mark_element(uint32_t mark, std::string chain);
NftElement device_element(const std::string& device, std::string chain = {});
NftElement byte_element(uint8_t value);
// Both ends; a range that reaches the highest value has none.
NftElements port_elements(std::span<const PortRange> ports);

enum class AnonymousSet : uint8_t {
    marks_to_chains,
    devices_to_chains,
    devices,
    ports,
    icmp_types,
    icmpv6_types
};

// Announces a set that a rule is about to refer to, and its elements. `number` is unique within the
// table; the set's id in the transaction is `number` + 1. Returns its name.
std::string append_anonymous_set(std::vector<NftMessage>& messages, const std::string& table,
                                 AnonymousSet kind, uint32_t number, const NftElements& elements);

// `id`: of the set in the transaction.
void append_named_set(std::vector<NftMessage>& messages, const std::string& table,
                      const NftSet& set, uint32_t id);

} // namespace linkbal
