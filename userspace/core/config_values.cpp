// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_values.h"

#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <ranges>

namespace linkbal {

namespace {

using Words = std::span<const std::string_view>;

bool any_of_chars(std::string_view text, auto&& predicate) {
    return std::ranges::any_of(text,
                               [&](char c) { return predicate(static_cast<unsigned char>(c)); });
}

// Without regard to the locale, and not only what C calls space: a NUL would end the name early.
bool is_blank_or_control(unsigned char c) { return c <= ' ' || c == 0x7f; }
bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
bool is_letter(unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hex_digit(unsigned char c) {
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

using Unit = std::pair<std::string_view, std::chrono::milliseconds>;
constexpr std::array<Unit, 4> units{{{"h", std::chrono::hours{1}},
                                     {"m", std::chrono::minutes{1}},
                                     {"s", std::chrono::seconds{1}},
                                     {"ms", std::chrono::milliseconds{1}}}};

constexpr size_t longest_name = 15; // IFNAMSIZ - 1; LB_NAME_SIZE - 1

bool is_interface_name(std::string_view name) {
    return !name.empty() && name.size() <= longest_name && name != "." && name != ".." &&
           name != "lo" && name.find_first_of("/:") == std::string_view::npos &&
           !any_of_chars(name, is_blank_or_control);
}

// What strtoul() with base 0 takes, which is how iproute2 tells numbers from names.
bool is_number(std::string_view name) {
    const bool hex = name.starts_with("0x") || name.starts_with("0X");
    const auto digits = hex ? name.substr(2) : name;
    return !digits.empty() &&
           !any_of_chars(digits, [&](auto c) { return hex ? !is_hex_digit(c) : !is_digit(c); });
}

bool is_table_name(std::string_view name) {
    static constexpr std::array<std::string_view, 5> reserved{"main", "local", "default", "unspec",
                                                              "all"};
    const auto foreign = [](auto c) {
        return !is_letter(c) && !is_digit(c) && c != '.' && c != '_' && c != '-';
    };
    return !name.empty() && name.size() <= longest_name && !any_of_chars(name, foreign) &&
           name.front() != '-' && name.front() != '.' && !is_number(name) &&
           std::ranges::find(reserved, name) == reserved.end();
}

ValueKind<std::string> name_kind(const std::string& expected, bool (*valid)(std::string_view)) {
    return {expected, [expected, valid](const toml::node& node) -> Parsed<std::string> {
                const auto name = node.value<std::string>();
                if (!name || !valid(*name)) {
                    return mismatch(expected, node);
                }
                return *name;
            }};
}

Parsed<Prefix> parse_network(const std::string& expected, const toml::node& node) {
    const auto value = plain_text(node).value_or("");
    const size_t slash = value.find('/');
    const auto address = IpAddress::parse(value.substr(0, slash));
    const auto network = Prefix::parse(value);
    if (!address || slash == std::string::npos || (network && network->is_default())) {
        return mismatch(expected, node);
    }
    if (network) {
        return *network;
    }
    // An address that only a network of another spelling contains has host bits set.
    const auto host = Prefix::parse(IpAddress::any(address->family()).str() + value.substr(slash));
    if (!host) {
        return mismatch(expected, node);
    }
    return tl::unexpected(fmt::format(R"(expected "{}", found "{}", which has host bits set)",
                                      Prefix(*address, host->length()).str(), value));
}

// The largest unit that leaves no rest, as a person would write it.
std::string spell(std::chrono::milliseconds value) {
    for (const auto& [unit, length] : units) {
        if (value % length == std::chrono::milliseconds{0}) {
            return fmt::format("{}{}", value / length, unit);
        }
    }
    return fmt::format("{}ms", value.count());
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    const size_t length = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto digits = text.substr(0, length);
    const auto* const unit = std::ranges::find(units, text.substr(length), &Unit::first);
    int64_t count = 0;
    // Eight digits are more than any range has, and no unit makes them overflow.
    if (length > 8 || unit == units.end() ||
        std::from_chars(digits.data(), digits.data() + digits.size(), count).ec != std::errc{}) {
        return std::nullopt;
    }
    return count * unit->second;
}

bool is_one_run(uint32_t mask) {
    return mask != 0 && std::popcount(mask) + std::countl_zero(mask) + std::countr_zero(mask) == 32;
}

// The node's integer if it is within the range, both ends included.
std::optional<uint32_t> integer_within(const toml::node& node, uint32_t lowest, uint32_t highest) {
    const auto* value = node.as_integer();
    if (value == nullptr || value->get() < lowest || value->get() > highest) {
        return std::nullopt;
    }
    return static_cast<uint32_t>(value->get());
}

} // namespace

// Strings with a NUL would be cut short on their way through the C library.
std::optional<std::string> plain_text(const toml::node& node) {
    auto value = node.value<std::string>();
    if (value && any_of_chars(*value, is_blank_or_control)) {
        return std::nullopt;
    }
    return value;
}

bool is_unicast(const IpAddress& address) {
    if (address.family() == Family::ipv4) {
        const uint8_t first = address.bytes()[0];
        return first != 0 && first != 127 && first < 224;
    }
    static const auto loopback = Prefix::parse("::/127").value(); // :: and ::1
    return !loopback.contains(address) && address.bytes()[0] != 0xff;
}

bool is_domain_name(std::string_view name) {
    if (name == ".") {
        return true;
    }
    if (name.ends_with('.')) {
        name.remove_suffix(1);
    }
    const auto foreign = [](auto c) {
        return !is_letter(c) && !is_digit(c) && c != '-' && c != '_';
    };
    const auto is_label = [&](auto label) {
        const std::string_view text(label.begin(), label.end());
        return !text.empty() && text.size() <= 63 && !any_of_chars(text, foreign);
    };
    return !name.empty() && name.size() <= 253 &&
           std::ranges::all_of(std::views::split(name, '.'), is_label);
}

ValueKind<std::string> interface_name() {
    return name_kind("an interface name of 1 to 15 characters, not \"lo\" and without \"/\", \":\" "
                     "or spaces",
                     is_interface_name);
}

ValueKind<std::string> table_name() {
    return name_kind(
        "a name of 1 to 15 letters, digits, \".\", \"_\" or \"-\" that is no number and "
        "no table of the system",
        is_table_name);
}

ValueKind<IpAddress> gateway_address(Family family) {
    const auto expected = fmt::format("the {} address of a router", family_name(family));
    return {expected, [expected, family](const toml::node& node) -> Parsed<IpAddress> {
                const auto address = IpAddress::parse(plain_text(node).value_or(""));
                if (!address || address->family() != family || !is_unicast(*address)) {
                    return mismatch(expected, node);
                }
                return *address;
            }};
}

ValueKind<Prefix> network() {
    const std::string expected = R"(a network as "ADDRESS/LENGTH")";
    return {expected, [expected](const toml::node& node) { return parse_network(expected, node); }};
}

ValueKind<uint32_t> integer(uint32_t lowest, uint32_t highest) {
    const auto expected = fmt::format("an integer from {} to {}", lowest, highest);
    return {expected, [=](const toml::node& node) -> Parsed<uint32_t> {
                const auto value = integer_within(node, lowest, highest);
                if (!value) {
                    return mismatch(expected, node);
                }
                return *value;
            }};
}

ValueKind<uint32_t> table_number() {
    const std::string expected = "a table number from 1 to 252 or 256 to 2147483647";
    return {expected, [expected](const toml::node& node) -> Parsed<uint32_t> {
                const auto value = integer_within(node, 1, std::numeric_limits<int32_t>::max());
                if (!value || (*value >= 253 && *value <= 255)) {
                    return mismatch(expected, node);
                }
                return *value;
            }};
}

ValueKind<uint32_t> mark_mask() {
    const std::string expected = "a mask of 32 bits with one unbroken run of ones";
    return {expected, [expected](const toml::node& node) -> Parsed<uint32_t> {
                const auto value = integer_within(node, 1, std::numeric_limits<uint32_t>::max());
                if (value && is_one_run(*value)) {
                    return *value;
                }
                const auto* number = node.as_integer();
                return number != nullptr && number->get() > 0
                           ? tl::unexpected(
                                 fmt::format("expected {}, found {:#x}", expected, number->get()))
                           : mismatch(expected, node);
            }};
}

ValueKind<std::string> text() {
    return {"a string", [](const toml::node& node) -> Parsed<std::string> {
                const auto value = node.value<std::string>();
                if (!value) {
                    return mismatch("a string", node);
                }
                return *value;
            }};
}

ValueKind<bool> boolean() {
    return {"true or false", [](const toml::node& node) -> Parsed<bool> {
                const auto* value = node.as_boolean();
                if (value == nullptr) {
                    return mismatch("true or false", node);
                }
                return value->get();
            }};
}

ValueKind<std::chrono::milliseconds> duration(std::chrono::milliseconds lowest,
                                              std::chrono::milliseconds highest) {
    const auto expected =
        fmt::format(R"(a duration from "{}" to "{}", with the unit ms, s, m or h)", spell(lowest),
                    spell(highest));
    return {expected, [=](const toml::node& node) -> Parsed<std::chrono::milliseconds> {
                const auto value = parse_duration(node.value<std::string_view>().value_or(""));
                if (!value || *value < lowest || *value > highest) {
                    return mismatch(expected, node);
                }
                return *value;
            }};
}

ValueKind<std::string> domain_name() {
    return name_kind(R"(a domain name as "example.org", or "." for the root)", is_domain_name);
}

ValueKind<std::string> command_words() {
    return {"a word of the command, first the absolute path of the program, as there is no shell",
            [is_first = true](const toml::node& node) mutable -> Parsed<std::string> {
                const bool is_program = std::exchange(is_first, false);
                auto word = node.value<std::string>().value_or("");
                if (word.empty() || word.find('\0') != std::string::npos) {
                    return mismatch("a word, which is a string that is not empty", node);
                }
                if (is_program && !word.starts_with('/')) {
                    return mismatch("the absolute path of a program, as there is no shell that "
                                    "would search for it",
                                    node);
                }
                return word;
            }};
}

} // namespace linkbal
