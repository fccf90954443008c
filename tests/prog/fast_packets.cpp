// SPDX-License-Identifier: GPL-2.0-or-later
#include "fast_packets.h"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace linkbal::test {

namespace {

constexpr size_t ethernet_size = 14;
constexpr size_t shortest_frame = 60;

Bytes be16(size_t value) { return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)}; }

Bytes address(const std::string& text) {
    const auto parsed = IpAddress::parse(text).value();
    return {parsed.bytes().begin(), parsed.bytes().end()};
}

// RFC 1071, in the plainest way.
uint16_t checksum(const Bytes& bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
        sum += static_cast<uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(~sum);
}

void put16(Bytes& bytes, size_t place, uint16_t value) {
    bytes.at(place) = static_cast<uint8_t>(value >> 8);
    bytes.at(place + 1) = static_cast<uint8_t>(value);
}

Bytes pseudo_header(const Segment& segment, size_t length) {
    return address(segment.ends.source) + address(segment.ends.destination) + be16(0) +
           be16(length) + be16(segment.protocol);
}

Bytes ports(const Segment& segment) {
    return be16(segment.ends.source_port) + be16(segment.ends.destination_port);
}

Bytes tcp_of(const Segment& segment) {
    const auto words = static_cast<uint8_t>(5 + segment.options.size() / 4);
    Bytes bytes = ports(segment) + Bytes{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0} +
                  Bytes{static_cast<uint8_t>(words << 4), segment.flags, 0x20, 0, 0, 0, 0, 0} +
                  segment.options + segment.payload;
    put16(bytes, 16, checksum(pseudo_header(segment, bytes.size()) + bytes));
    return bytes;
}

Bytes udp_of(const Segment& segment) {
    Bytes bytes = ports(segment) + be16(8 + segment.payload.size()) + be16(0) + segment.payload;
    if (segment.checksum) {
        const uint16_t sum = checksum(pseudo_header(segment, bytes.size()) + bytes);
        put16(bytes, 6, sum != 0 ? sum : 0xffff);
    }
    return bytes;
}

Bytes ipv4_of(const Segment& segment, const Bytes& transport) {
    Bytes header = Bytes{0x45, segment.tos} + be16(20 + transport.size()) +
                   Bytes{0xab, 0xcd, 0x40, 0, segment.ttl, segment.protocol, 0, 0} +
                   address(segment.ends.source) + address(segment.ends.destination);
    put16(header, 10, checksum(header));
    return header + transport;
}

Bytes ipv6_of(const Segment& segment, const Bytes& transport) {
    return Bytes{static_cast<uint8_t>(0x60 | segment.tos >> 4),
                 static_cast<uint8_t>(segment.tos << 4 | 0x7), 0x65, 0x43} +
           be16(transport.size()) + Bytes{segment.protocol, segment.ttl} +
           address(segment.ends.source) + address(segment.ends.destination) + transport;
}

template <typename Tuple>
Tuple tuple(const Endpoints& ends) {
    Tuple result{};
    const Bytes source = address(ends.source);
    const Bytes destination = address(ends.destination);
    std::memcpy(&result.source, source.data(), source.size());
    std::memcpy(&result.destination, destination.data(), destination.size());
    result.source_port = htons(ends.source_port);
    result.destination_port = htons(ends.destination_port);
    return result;
}

} // namespace

Bytes frame_of(const Segment& segment) {
    const Bytes transport = segment.protocol == IPPROTO_TCP ? tcp_of(segment) : udp_of(segment);
    const bool ipv4 = segment.family == Family::ipv4;
    return Bytes(segment.to.begin(), segment.to.end()) +
           Bytes(segment.from.begin(), segment.from.end()) + be16(ipv4 ? 0x0800 : 0x86dd) +
           (ipv4 ? ipv4_of(segment, transport) : ipv6_of(segment, transport));
}

Bytes padded(Bytes frame) {
    frame.resize(std::max(frame.size(), shortest_frame), 0xee);
    return frame;
}

size_t transport_place(Family family) {
    return ethernet_size + (family == Family::ipv4 ? size_t{20} : size_t{40});
}

Segment with_zero_sum(Segment segment) {
    put16(segment.payload, 0, 0);
    const Bytes bytes = frame_of(segment);
    const size_t place =
        transport_place(segment.family) + (segment.protocol == IPPROTO_TCP ? 16U : 6U);
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(place), 2, segment.payload.begin());
    return segment;
}

void fix_ipv4_checksum(Bytes& frame) {
    put16(frame, ethernet_size + 10, 0);
    const auto start = frame.begin() + static_cast<ptrdiff_t>(ethernet_size);
    const size_t size = (frame.at(ethernet_size) & 0xfU) * 4;
    put16(frame, ethernet_size + 10, checksum(Bytes(start, start + static_cast<ptrdiff_t>(size))));
}

lb_tuple4 tuple4(const Endpoints& ends) { return tuple<lb_tuple4>(ends); }
lb_tuple6 tuple6(const Endpoints& ends) { return tuple<lb_tuple6>(ends); }

Endpoints reversed(const Endpoints& ends) {
    return {ends.destination, ends.source, ends.destination_port, ends.source_port};
}

} // namespace linkbal::test
