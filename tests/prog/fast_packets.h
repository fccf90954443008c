// SPDX-License-Identifier: GPL-2.0-or-later
// The model of the fast path: a packet as values, and its frame made from nothing. What should come out
// is the same values with other addresses, and its checksums are summed up anew over all bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <linux/bpf.h>

#include "core/address.h"
#include "linkbal/abi.h"
#include "packets.h"

namespace linkbal::test {

using Mac = std::array<uint8_t, 6>;

struct Endpoints {
    std::string source;
    std::string destination;
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    bool operator==(const Endpoints&) const = default;
};

struct Segment {
    Family family = Family::ipv4;
    uint8_t protocol = 6;
    Endpoints ends{};
    Bytes payload = Bytes(32, 0x5a);
    uint8_t ttl = 64;
    uint8_t tos = 0;
    uint8_t flags = tcp_ack;
    Bytes options{};      // of TCP
    bool checksum = true; // of UDP
    Mac to{2, 0, 0, 0, 0, 1};
    Mac from{2, 0, 0, 0, 0, 2};
};

// Without padding.
Bytes frame_of(const Segment& segment);
// As drivers of real network cards hand over short frames.
Bytes padded(Bytes frame);
// The place of the transport header in a frame.
size_t transport_place(Family family);
// The same with a payload that makes the transport checksum of the frame come out as 0.
Segment with_zero_sum(Segment segment);
// Writes the right checksum into an IPv4 header that has been changed by hand.
void fix_ipv4_checksum(Bytes& frame);

// A packet's addresses and ports as the maps have them.
lb_tuple4 tuple4(const Endpoints& ends);
lb_tuple6 tuple6(const Endpoints& ends);
Endpoints reversed(const Endpoints& ends);

} // namespace linkbal::test
