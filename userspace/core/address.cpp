// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/address.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace linkbal {

namespace {

// The byte of a netmask of `length` bits at position `index`.
uint8_t mask_byte(unsigned length, size_t index) {
    const unsigned before = static_cast<unsigned>(index) * 8;
    const unsigned bits = length <= before ? 0 : std::min(length - before, 8U);
    return static_cast<uint8_t>(0xff00U >> bits);
}

IpAddress masked(const IpAddress& address, unsigned length) {
    std::array<uint8_t, 16> bytes{};
    const auto source = address.bytes();
    for (size_t i = 0; i < source.size(); ++i) {
        bytes[i] = source[i] & mask_byte(length, i);
    }
    return IpAddress(std::span(bytes).first(source.size()));
}

} // namespace

uint8_t socket_family(Family family) { return family == Family::ipv4 ? AF_INET : AF_INET6; }

std::string_view family_flag(Family family) { return family == Family::ipv4 ? "-4" : "-6"; }
std::string_view family_name(Family family) { return family == Family::ipv4 ? "IPv4" : "IPv6"; }

IpAddress::IpAddress(std::span<const uint8_t> bytes)
    : family_(bytes.size() == 4 ? Family::ipv4 : Family::ipv6) {
    assert(bytes.size() == 4 || bytes.size() == 16);
    std::ranges::copy(bytes, bytes_.begin());
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string terminated(text);
    std::array<uint8_t, 16> bytes{};
    if (inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) {
        return IpAddress(std::span(bytes).first(4));
    }
    if (inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) {
        return IpAddress(bytes);
    }
    return std::nullopt;
}

IpAddress IpAddress::any(Family family) {
    const std::array<uint8_t, 16> zero{};
    return IpAddress(std::span(zero).first(family == Family::ipv4 ? 4 : 16));
}

bool IpAddress::is_link_local() const {
    if (family_ == Family::ipv4) {
        return bytes_[0] == 169 && bytes_[1] == 254;
    }
    return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

std::string IpAddress::str() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(socket_family(family_), bytes_.data(), text.data(), text.size());
    return text.data();
}

Prefix::Prefix(const IpAddress& address, unsigned length)
    : address_(masked(address, length)), length_(length) {
    assert(length <= address.bits());
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
    const size_t slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    if (slash == std::string_view::npos) {
        return Prefix(*address, address->bits());
    }
    unsigned length = 0;
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > address->bits()) {
        return std::nullopt;
    }
    const Prefix prefix(*address, length);
    return prefix.address() == *address ? std::optional(prefix) : std::nullopt;
}

Prefix Prefix::any(Family family) { return {IpAddress::any(family), 0}; }

bool Prefix::contains(const IpAddress& address) const {
    return address.family() == family() && masked(address, length_) == address_;
}

bool Prefix::contains(const Prefix& other) const {
    return length_ <= other.length_ && contains(other.address_);
}

bool Prefix::overlaps(const Prefix& other) const {
    return contains(other) || other.contains(*this);
}

std::string Prefix::str() const { return fmt::format("{}/{}", address_.str(), length_); }

// Prefixes nest or are disjoint, and a sorted prefix follows the one that contains it: looking at the
// last one kept is enough.
std::vector<Prefix> outermost(std::vector<Prefix> prefixes) {
    std::ranges::sort(prefixes);
    std::vector<Prefix> kept;
    for (const Prefix& prefix : prefixes) {
        if (kept.empty() || !kept.back().contains(prefix.address())) {
            kept.push_back(prefix);
        }
    }
    return kept;
}

} // namespace linkbal
