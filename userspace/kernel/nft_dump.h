// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a table `inet TABLE` of the kernel's, message by message.
#pragma once

#include <string>
#include <vector>

#include "kernel/nfnetlink.h"

namespace linkbal {

struct NftDump {
    uint32_t generation = 0; // of the whole ruleset; every transaction of anyone's raises it
    // Table, objects, chains, sets, elements, rules: the order in which they can be added again.
    // None: there is no such table.
    std::vector<NfnetlinkMessage> messages;
};

// One state of the ruleset: read again when it changed meanwhile.
Result<NftDump> read_table(NfnetlinkSocket& socket, const std::string& table);

// All messages of one kind (NFT_MSG_GETOBJ ...) that belong to the table. EINTR: changed meanwhile.
Result<std::vector<NfnetlinkMessage>> dump_kind(NfnetlinkSocket& socket, uint8_t kind,
                                                const std::string& table);

uint8_t nft_kind(const NfnetlinkMessage& message); // NFT_MSG_NEW...

// Does the dump hold all that is in the table? Flow tables are not read, but the kernel counts them
// as users of the table.
bool is_complete(const NftDump& dump);

// The request that adds what a dumped message describes: without handles, positions and use counts,
// which are the kernel's to give. `id` names sets within the transaction.
NfnetlinkMessage to_request(const NfnetlinkMessage& dumped, uint32_t id);

} // namespace linkbal
