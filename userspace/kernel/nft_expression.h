// SPDX-License-Identifier: GPL-2.0-or-later
// The expressions that our rules are made of, each appended to the list of expressions that is open
// in a message. Values pass from one to the next in register 1.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <libmnl/libmnl.h>

#include "core/nft_rule.h"

namespace linkbal {

// What becomes of a packet, as a rule's last expression or a verdict map's value: code (NF_ACCEPT,
// NFT_GOTO) and chain, or none, in an attribute `type`. Written here because libnftnl 1.2.4 leaves
// out the terminating zero of names, without which it cannot read the message itself.
void put_verdict(nlmsghdr* message, uint16_t type, int32_t code, const std::string& chain = {});

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
void match_source(nlmsghdr* message, const Prefix& source);
void match_ct_bits(nlmsghdr* message, uint32_t key, uint32_t bits); // any of them
void match_mark(nlmsghdr* message, uint32_t mask, uint32_t mark);
void match_tcp_flags(nlmsghdr* message, uint8_t mask, uint8_t value);
void match_fragment(nlmsghdr* message, Family family);
void match_local(nlmsghdr* message, AddressField field); // an address of this machine

// `rate` packets in `seconds`, and `burst` more at once; `over`: matches what is too much.
struct LimitExpression {
    uint64_t rate = 0;
    uint64_t seconds = 1;
    uint32_t burst = 0;
    bool over = false;
};
void limit(nlmsghdr* message, const LimitExpression& limit);
// The same for each key in register 1, kept in a set.
void update_limit(nlmsghdr* message, const std::string& set, uint32_t set_id,
                  const LimitExpression& limit);

// --- what is done -----------------------------------------------------------------------------

void refer_to(nlmsghdr* message, uint32_t type, const std::string& object); // NFT_OBJECT_*
void log(nlmsghdr* message, const std::string& prefix); // level: warning, nft's default
void clamp_mss(nlmsghdr* message, uint16_t size);       // 0: the path's
void verdict(nlmsghdr* message, int32_t code, const std::string& chain = {});
void masquerade(nlmsghdr* message);
void map_destination(nlmsghdr* message, const IpAddress& address, std::optional<uint16_t> port);
void reject(nlmsghdr* message, uint32_t type, uint8_t code); // in prerouting: kernel 5.9

} // namespace linkbal
