// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables messages for the sets of connections that ended with their uplink
// (core/netfilter_rules.h), as values.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/netfilter_rules.h"
#include "core/tcp_connection.h"
#include "kernel/nft_message.h"

namespace linkbal {

// The set's number within a transaction, apart from those of anonymous sets.
uint32_t dead_set_id(Family family);

NfnetlinkMessage dead_set_message(const std::string& table, Family family);

// Adds the connections to the sets of their families; what is in there already is no error.
std::vector<NftMessage> dead_element_messages(const std::string& table,
                                              std::span<const TcpConnection> connections);

// Empties both sets.
std::vector<NftMessage> dead_flush_messages(const std::string& table);

// The messages of `dump` that put elements into dead sets which are as dead_set_message() makes them:
// what can be sent again after the table was replaced.
std::vector<NfnetlinkMessage> dead_elements_of(const std::vector<NfnetlinkMessage>& dump);

} // namespace linkbal
