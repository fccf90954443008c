// SPDX-License-Identifier: GPL-2.0-or-later
// IP addresses and prefixes as values, both families from one body.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <iterator>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linkbal {

enum class Family : uint8_t { ipv4, ipv6 };
inline constexpr std::array families{Family::ipv4, Family::ipv6};

// "-4" or "-6", as ip(8) takes it; "IPv4" or "IPv6" for people.
std::string_view family_flag(Family family);
std::string_view family_name(Family family);

// AF_INET or AF_INET6, in the width of netlink's headers.
uint8_t socket_family(Family family);

class IpAddress {
  public:
    // Takes 4 or 16 bytes in network byte order; any other length is a programming error.
    explicit IpAddress(std::span<const uint8_t> bytes);
    static std::optional<IpAddress> parse(std::string_view text);
    static IpAddress any(Family family);

    [[nodiscard]] Family family() const { return family_; }
    // 4 or 16 bytes, network byte order.
    [[nodiscard]] std::span<const uint8_t> bytes() const { return {bytes_.data(), size()}; }
    [[nodiscard]] unsigned bits() const { return static_cast<unsigned>(size()) * 8; }
    [[nodiscard]] bool is_link_local() const; // 169.254.0.0/16, fe80::/10
    [[nodiscard]] std::string str() const;
    auto operator<=>(const IpAddress&) const = default;

  private:
    [[nodiscard]] size_t size() const { return family_ == Family::ipv4 ? 4 : 16; }
    Family family_;
    std::array<uint8_t, 16> bytes_{}; // unused tail is zero, so that comparison is by value
};

class Prefix {
  public:
    // Host bits of `address` are cleared. `length` is at most address.bits().
    Prefix(const IpAddress& address, unsigned length);
    // "192.0.2.0/24"; without a length it is a host. Host bits set are refused.
    static std::optional<Prefix> parse(std::string_view text);
    static Prefix any(Family family);

    [[nodiscard]] Family family() const { return address_.family(); }
    [[nodiscard]] const IpAddress& address() const { return address_; }
    [[nodiscard]] unsigned length() const { return length_; }
    [[nodiscard]] bool is_default() const { return length_ == 0; }
    [[nodiscard]] bool contains(const IpAddress& address) const;
    [[nodiscard]] bool contains(const Prefix& other) const; // all of it
    [[nodiscard]] bool overlaps(const Prefix& other) const;
    [[nodiscard]] std::string str() const;
    auto operator<=>(const Prefix&) const = default;

  private:
    IpAddress address_;
    unsigned length_;
};

// The addresses or prefixes of one family, in their order.
template <typename Range>
auto of_family(const Range& all, Family family) {
    std::vector<std::ranges::range_value_t<Range>> chosen;
    std::ranges::copy_if(all, std::back_inserter(chosen),
                         [&](const auto& one) { return one.family() == family; });
    return chosen;
}

// Sorted, without prefixes that lie inside another one.
std::vector<Prefix> outermost(std::vector<Prefix> prefixes);

} // namespace linkbal
