// SPDX-License-Identifier: GPL-2.0-or-later
// What our rules do with a packet, as expressions that are appended to the list that is open in a
// message; limits, too, which match as they count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <libmnl/libmnl.h>

#include "core/address.h"

namespace linkbal {

// What becomes of a packet, as a rule's last expression or a verdict map's value: code (NF_ACCEPT,
// NFT_GOTO) and chain, or none, in an attribute `type`. Written here because libnftnl 1.2.4 leaves
// out the terminating zero of names, without which it cannot read the message itself.
void put_verdict(nlmsghdr* message, uint16_t type, int32_t code, const std::string& chain = {});

// Matches `rate` packets in `seconds`, and `burst` more at once.
struct LimitExpression {
    uint64_t rate = 0;
    uint64_t seconds = 1;
    uint32_t burst = 0;
};
void limit(nlmsghdr* message, const LimitExpression& limit);
// The same for each key in register 1, kept in a set.
void update_limit(nlmsghdr* message, const std::string& set, uint32_t set_id,
                  const LimitExpression& limit);

void refer_to(nlmsghdr* message, uint32_t type, const std::string& object); // NFT_OBJECT_*
void log(nlmsghdr* message, const std::string& prefix); // level: warning, nft's default
void clamp_mss(nlmsghdr* message, uint16_t size);       // 0: the path's
void verdict(nlmsghdr* message, int32_t code, const std::string& chain = {});
void masquerade(nlmsghdr* message);
void map_destination(nlmsghdr* message, const IpAddress& address, std::optional<uint16_t> port);
void reject(nlmsghdr* message, uint32_t type, uint8_t code); // in prerouting: kernel 5.9

} // namespace linkbal
