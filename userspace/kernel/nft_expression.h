// SPDX-License-Identifier: GPL-2.0-or-later
// The expressions that our rules are made of, each appended to the list of expressions that is open
// in a message. Values pass from one to the next in register 1.
#pragma once

#include <cstdint>
#include <string>

#include <libmnl/libmnl.h>

#include "core/address.h"

namespace linkbal {

// What becomes of a packet, as a rule's last expression or a verdict map's value: code (NF_ACCEPT,
// NFT_GOTO) and chain, or none, in an attribute `type`. Written here because libnftnl 1.2.4 leaves
// out the terminating zero of names, without which it cannot read the message itself.
void put_verdict(nlmsghdr* message, uint16_t type, int32_t code, const std::string& chain = {});

void load_meta(nlmsghdr* message, uint32_t key); // key: NFT_META_*
void store_meta_mark(nlmsghdr* message);
void load_ct_mark(nlmsghdr* message);
void store_ct_mark(nlmsghdr* message);
void and_xor(nlmsghdr* message, uint32_t mask, uint32_t exclusive); // marks: host byte order
void look_up(nlmsghdr* message, const std::string& set, uint32_t set_id);
void look_up_verdict(nlmsghdr* message, const std::string& map, uint32_t set_id);
void count(nlmsghdr* message, const std::string& counter);
void verdict(nlmsghdr* message, int32_t code, const std::string& chain = {});
void match_source(nlmsghdr* message, const Prefix& source);
void masquerade(nlmsghdr* message);
void match_mid_stream(nlmsghdr* message); // ct state invalid,new tcp flags ! syn
// Loads the key of a dead set: addresses and ports of a TCP packet of the family, others don't match.
void load_tcp_tuple(nlmsghdr* message, Family family);
void reject_with_reset(nlmsghdr* message); // prerouting: kernel 5.9

} // namespace linkbal
