// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables messages for rules, as values.
#pragma once

#include <string>
#include <vector>

#include "core/nft_rule.h"
#include "kernel/nft_message.h"

namespace linkbal {

// A named set's number within the transaction, by its place in NftRuleset::sets; apart from those of
// anonymous sets and of dead sets.
uint32_t named_set_id(size_t index);

// All rules of all chains, and ahead of each the anonymous sets that it refers to.
void append_rules(std::vector<NftMessage>& messages, const std::string& table,
                  const NftRuleset& ruleset);

} // namespace linkbal
