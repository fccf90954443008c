// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of values in the configuration file, each with its spelling and range.
#pragma once

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "core/toml_reader.h"

namespace linkbal {

// 1 to 15 bytes without "/", ":" or spaces, as the kernel has it (dev_valid_name, net/core/dev.c).
[[nodiscard]] ValueKind<std::string> interface_name();

// The name of an uplink and of its routing table: ip(8) must not take it for a number or for one of
// the system's tables, nor a command line for an option.
[[nodiscard]] ValueKind<std::string> table_name();

// A unicast address of a host.
[[nodiscard]] ValueKind<IpAddress> gateway_address(Family family);

// ADDRESS/LENGTH without host bits; not the whole address space.
[[nodiscard]] ValueKind<Prefix> network();

// Both ends included.
[[nodiscard]] ValueKind<uint32_t> integer(uint32_t lowest, uint32_t highest);

// 1 to 252 or 256 to 2^31-1: 0 and 253 to 255 are the system's, and iproute2 takes 31 bits.
[[nodiscard]] ValueKind<uint32_t> table_number();

// One run of set bits in 32.
[[nodiscard]] ValueKind<uint32_t> mark_mask();

[[nodiscard]] ValueKind<std::string> text();

[[nodiscard]] ValueKind<bool> boolean();

// A whole number and its unit: "500ms", "2s", "5m", "1h". Both ends included.
[[nodiscard]] ValueKind<std::chrono::milliseconds> duration(std::chrono::milliseconds lowest,
                                                            std::chrono::milliseconds highest);

// A name to ask a DNS server about.
[[nodiscard]] ValueKind<std::string> domain_name();

// The words of a command line, to be used for one list: the first word is the program.
[[nodiscard]] ValueKind<std::string> command_words();

// Of the values of one list, none may be in conflict with an earlier one: be the same, unless
// `conflict` says otherwise.
template <typename T, typename Conflict = std::equal_to<T>>
ValueKind<T> each_once(const ValueKind<T>& kind, Conflict conflict = {}) {
    using Earlier = std::vector<std::pair<T, std::string>>;
    return {kind.expected,
            [parse = kind.parse, conflict,
             earlier = Earlier{}](const toml::node& node) mutable -> Parsed<T> {
                auto value = parse(node);
                const auto conflicts = [&](const auto& other) {
                    return conflict(other.first, *value);
                };
                if (!value) {
                    return value;
                }
                if (const auto other = std::ranges::find_if(earlier, conflicts);
                    other != earlier.end()) {
                    return tl::unexpected(fmt::format("expected each only once, found {} beside {}",
                                                      describe(node), other->second));
                }
                earlier.emplace_back(*value, describe(node));
                return value;
            }};
}

// What kinds are made of: a string without blanks and control characters, an address that one
// host can have, and letters, digits, "-" and "_" in labels of 1 to 63 bytes, or ".".
[[nodiscard]] std::optional<std::string> plain_text(const toml::node& node);
[[nodiscard]] bool is_unicast(const IpAddress& address);
[[nodiscard]] bool is_domain_name(std::string_view name);

// One of a few words. `words` must outlive the kind.
template <typename Enum>
ValueKind<Enum> choice(std::span<const std::pair<std::string_view, Enum>> words) {
    std::string expected;
    for (const auto& [word, value] : words) {
        expected += fmt::format("{}\"{}\"", expected.empty() ? "" : " or ", word);
    }
    return {expected, [words, expected](const toml::node& node) -> Parsed<Enum> {
                const auto found = node.value<std::string_view>();
                const auto entry = std::ranges::find(words, found.value_or(""),
                                                     &std::pair<std::string_view, Enum>::first);
                if (entry == words.end()) {
                    return mismatch(expected, node);
                }
                return entry->second;
            }};
}

} // namespace linkbal
