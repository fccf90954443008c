// SPDX-License-Identifier: GPL-2.0-or-later
// Packets as data: headers are made by small functions and put one after the other.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace linkbal::test {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes a, const Bytes& b);

struct Ipv4 {
    std::string_view source = "192.0.2.10";
    std::string_view destination = "203.0.113.20";
    uint8_t protocol = 6;
    uint16_t fragment = 0;   // flags and offset as in the header: 0x2000 is MF
    Bytes options{};         // a multiple of 4 bytes
    int total_length = -1;   // -1: right
    uint8_t version_ihl = 0; // 0: right
};

struct Ipv6 {
    std::string_view source = "2001:db8:1::10";
    std::string_view destination = "2001:db8:2::20";
    uint8_t next = 6;
    int payload_length = -1; // -1: right
    uint8_t version = 6;
};

inline constexpr uint8_t tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10;

struct Tcp {
    uint8_t flags = tcp_syn;
    uint16_t source = 40000;
    uint16_t destination = 443;
    uint8_t words = 5; // data offset
};

struct Udp {
    uint16_t source = 40000;
    uint16_t destination = 443;
};

Bytes ethernet(uint16_t type, const Bytes& payload);
// An IP header before `payload`, in an Ethernet frame.
Bytes frame(const Ipv4& header, const Bytes& payload);
Bytes frame(const Ipv6& header, const Bytes& payload);
Bytes bytes_of(const Tcp& header);
Bytes bytes_of(const Udp& header);
// An IPv6 extension header of 8 + 8 * `more` bytes (4 * `more` for an authentication header).
Bytes extension(uint8_t next, uint8_t more = 0);
Bytes authentication(uint8_t next);
Bytes ipv6_fragment(uint8_t next, uint16_t offset_and_more);

} // namespace linkbal::test
