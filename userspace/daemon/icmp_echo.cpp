// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/icmp_echo.h"

#include <cstring>

#include <arpa/inet.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>

namespace linkbal {

namespace {

// Both families lay the echo out alike. Cookie, target and probe only we read: host byte order.
struct Wire {
    uint8_t type;
    uint8_t code;
    uint16_t checksum;
    uint16_t identifier;
    uint16_t sequence;
    std::array<uint8_t, 8> cookie;
    std::array<uint8_t, 4> target;
    std::array<uint8_t, 8> probe;
};
static_assert(sizeof(Wire) == echo_size);

uint16_t internet_checksum(std::span<const uint8_t> bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
        sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~((sum & 0xffff) + (sum >> 16)));
}

} // namespace

std::array<uint8_t, echo_size> echo_request(Family family, const Echo& echo) {
    Wire wire{};
    wire.type = family == Family::ipv4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    wire.identifier = htons(echo.identifier);
    wire.sequence = htons(static_cast<uint16_t>(echo.probe));
    std::memcpy(wire.cookie.data(), &echo.cookie, sizeof echo.cookie);
    std::memcpy(wire.target.data(), &echo.target, sizeof echo.target);
    std::memcpy(wire.probe.data(), &echo.probe, sizeof echo.probe);
    std::array<uint8_t, echo_size> bytes{};
    std::memcpy(bytes.data(), &wire, sizeof wire);
    if (family == Family::ipv4) {
        wire.checksum = htons(internet_checksum(bytes));
        std::memcpy(bytes.data(), &wire, sizeof wire);
    }
    return bytes;
}

std::optional<Echo> parse_echo_reply(Family family, std::span<const uint8_t> packet) {
    size_t header = 0;
    if (family == Family::ipv4) {
        header = packet.empty() ? 0 : 4 * (packet[0] & 0xfU);
    }
    if (packet.size() != header + echo_size) {
        return std::nullopt;
    }
    Wire wire{};
    std::memcpy(&wire, packet.data() + header, sizeof wire);
    Echo echo{.identifier = ntohs(wire.identifier), .cookie = 0, .target = 0, .probe = 0};
    std::memcpy(&echo.cookie, wire.cookie.data(), sizeof echo.cookie);
    std::memcpy(&echo.target, wire.target.data(), sizeof echo.target);
    std::memcpy(&echo.probe, wire.probe.data(), sizeof echo.probe);
    const uint8_t reply = family == Family::ipv4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (wire.type != reply || wire.code != 0 ||
        ntohs(wire.sequence) != static_cast<uint16_t>(echo.probe)) {
        return std::nullopt;
    }
    return echo;
}

} // namespace linkbal
