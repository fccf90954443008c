// SPDX-License-Identifier: GPL-2.0-or-later
// Echo requests and replies as bytes, of both families: RFC 792, RFC 4443.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "core/address.h"

namespace linkbal {

// What comes back as it was sent. Identifier and sequence alone are 32 bits that anybody can guess.
struct Echo {
    uint16_t identifier = 0; // one a socket; the sequence is the lower half of `probe`
    uint64_t cookie = 0;     // one a socket
    uint32_t target = 0;
    uint64_t probe = 0;
};

inline constexpr size_t echo_size = 8 + 8 + 4 + 8; // header, cookie, target, probe

// The checksum of ICMPv6 is left to the kernel, which knows the addresses.
std::array<uint8_t, echo_size> echo_request(Family family, const Echo& echo);

// `packet` as raw sockets give it: with the IP header in IPv4, without in IPv6. Nothing for what is no
// echo reply of this size.
std::optional<Echo> parse_echo_reply(Family family, std::span<const uint8_t> packet);

} // namespace linkbal
