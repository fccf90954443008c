// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables messages in words, for comparing what the kernel has with what would be sent.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/nfnetlink.h"

namespace linkbal {

// One line for everything that the messages put into a table, leaving out what only the kernel
// knows (handles, use counts) or counts. The lines are in an order that depends on the contents
// alone: by kind and name, rules of a chain in their own order. Elements of sets that have a
// timeout are left out, the sets are not. Messages with equal descriptions
// make equal tables. Nothing where libnftnl cannot read a message.
std::optional<std::vector<std::string>> nft_describe(const std::vector<NfnetlinkMessage>& messages);

// True for the message of a table that linkbal wrote, whatever version of it: by its comment.
bool nft_is_ours(const NfnetlinkMessage& message);

} // namespace linkbal
