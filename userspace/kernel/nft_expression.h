// SPDX-License-Identifier: GPL-2.0-or-later
// The expressions that our rules match by, each appended to the list of expressions that is open in a
// message. Values pass from one to the next in register 1. What rules do: kernel/nft_statement.h
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <libmnl/libmnl.h>

#include "core/nft_rule.h"

namespace linkbal {

// --- values into register 1 -------------------------------------------------------------------

void load_meta(nlmsghdr* message, uint32_t key);                         // key: NFT_META_*
void load_ct(nlmsghdr* message, uint32_t key);                           // key: NFT_CT_*
void load_address(nlmsghdr* message, Family family, AddressField field); // others don't match
void load_destination_port(nlmsghdr* message, Transport transport);      // others don't match
void load_icmp_type(nlmsghdr* message, Family family);                   // others don't match
// Whose limit it is: the source address, of IPv6 its first 64 bits. Others don't match.
void load_limited_source(nlmsghdr* message, Family family);
// The key of a dead set: addresses and ports of a TCP packet of the family, others don't match.
void load_tcp_tuple(nlmsghdr* message, Family family);

// --- register 1 compared, changed, stored -----------------------------------------------------

void and_xor(nlmsghdr* message, uint32_t mask, uint32_t exclusive); // marks: host byte order
void store_meta_mark(nlmsghdr* message);
void store_ct_mark(nlmsghdr* message);
void look_up(nlmsghdr* message, const std::string& set, uint32_t set_id, bool inverted = false);
void look_up_verdict(nlmsghdr* message, const std::string& map, uint32_t set_id);

void match_bytes(nlmsghdr* message, std::span<const uint8_t> value);
void match_16_bits(nlmsghdr* message, uint16_t first, uint16_t last); // both included

// --- matches ----------------------------------------------------------------------------------

void match_family(nlmsghdr* message, Family family);
void match_protocol(nlmsghdr* message, uint8_t number);
void match_network(nlmsghdr* message, AddressField field, const Prefix& network);
void match_ports(nlmsghdr* message, Transport transport, uint16_t source, uint16_t destination);
void match_ct_bits(nlmsghdr* message, uint32_t key, uint32_t bits); // any of them
void match_mark(nlmsghdr* message, uint32_t mask, uint32_t mark);
void match_tcp_flags(nlmsghdr* message, uint8_t mask, uint8_t value);
void match_fragment(nlmsghdr* message, Family family);
void match_local(nlmsghdr* message, AddressField field); // an address of this machine

} // namespace linkbal
