// SPDX-License-Identifier: GPL-2.0-or-later
#include "packets.h"

#include "core/address.h"

namespace linkbal::test {

namespace {

Bytes be16(unsigned value) {
    return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

Bytes address(std::string_view text) {
    const auto parsed = IpAddress::parse(text).value();
    return {parsed.bytes().begin(), parsed.bytes().end()};
}

} // namespace

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Bytes ethernet(uint16_t type, const Bytes& payload) {
    return Bytes{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2} + be16(type) + payload;
}

Bytes frame(const Ipv4& header, const Bytes& payload) {
    const size_t header_size = 20 + header.options.size();
    const auto right = static_cast<int>(header_size + payload.size());
    const int length = header.total_length < 0 ? right : header.total_length;
    const auto first =
        static_cast<uint8_t>(header.version_ihl ? header.version_ihl : 0x40 | header_size / 4);
    return ethernet(0x0800, Bytes{first, 0} + be16(static_cast<unsigned>(length)) + be16(1) +
                                be16(header.fragment) + Bytes{64, header.protocol, 0, 0} +
                                address(header.source) + address(header.destination) +
                                header.options + payload);
}

Bytes frame(const Ipv6& header, const Bytes& payload) {
    const auto right = static_cast<int>(payload.size());
    const int length = header.payload_length < 0 ? right : header.payload_length;
    return ethernet(0x86dd, Bytes{static_cast<uint8_t>(header.version << 4), 0, 0, 0} +
                                be16(static_cast<unsigned>(length)) + Bytes{header.next, 64} +
                                address(header.source) + address(header.destination) + payload);
}

Bytes bytes_of(const Tcp& header) {
    return be16(header.source) + be16(header.destination) + Bytes(8, 0) +
           Bytes{static_cast<uint8_t>(header.words << 4), header.flags, 0xff, 0xff} + Bytes(4, 0);
}

Bytes bytes_of(const Udp& header) {
    return be16(header.source) + be16(header.destination) + be16(8) + be16(0);
}

Bytes extension(uint8_t next, uint8_t more) { return Bytes{next, more} + Bytes(6U + 8U * more, 0); }

// Length 4: 4 * (4 + 2) = 24 bytes.
Bytes authentication(uint8_t next) { return Bytes{next, 4} + Bytes(22, 0); }

Bytes ipv6_fragment(uint8_t next, uint16_t offset_and_more) {
    return Bytes{next, 0} + be16(offset_and_more) + Bytes{0, 0, 0, 1};
}

} // namespace linkbal::test
