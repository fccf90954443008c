// SPDX-License-Identifier: GPL-2.0-or-later
// Reads tables of a TOML file key by key: remembers where each value stands, which keys were asked
// for (the others are unknown) and everything that is wrong, so that one pass reports it all.
// Private to the readers of the configuration: toml++ takes its time to compile.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>
#include <toml++/toml.h>

#include "core/config.h"
#include "core/config_error.h"

namespace linkbal {

// A value, or what is wrong with it: "expected ..., found ...".
template <typename T>
using Parsed = tl::expected<T, std::string>;

// One kind of value: what it is called in messages, and how it is made from a node.
template <typename T>
struct ValueKind {
    std::string expected;
    std::function<Parsed<T>(const toml::node&)> parse;
};

// A node's value as a person would recognise it from the file: 7, "text" (escaped), "a table".
[[nodiscard]] std::string describe(const toml::node& node);
[[nodiscard]] tl::unexpected<std::string> mismatch(std::string_view expected,
                                                   const toml::node& node);

// What comes of reading, shared by the readers of all tables of a file.
struct Reading {
    std::string file;
    std::map<std::string, Position> positions;
    std::vector<ConfigError> errors;

    void report(Position position, std::string message);
};

class TableReader {
  public:
    // `path` is the table's name in `reading.positions`; empty for the file itself.
    TableReader(const toml::table& table, std::string path, Position position, Reading& reading);

    // Each leaves `target` as it is when the key is absent or wrong.
    template <typename T, typename Target>
    void required(std::string_view key, Target& target, const ValueKind<T>& kind) {
        if (!optional(key, target, kind)) {
            missing(key, kind.expected);
        }
    }
    // Returns whether the key is there, right or wrong.
    template <typename T, typename Target>
    bool optional(std::string_view key, Target& target, const ValueKind<T>& kind) {
        const toml::node* node = take(key);
        if (node != nullptr) {
            convert(*node, key, path_of(key), target, kind);
        }
        return node != nullptr;
    }
    // A non-empty array.
    template <typename T>
    bool list(std::string_view key, std::vector<T>& target, const ValueKind<T>& kind) {
        return read_list(key, target, kind, "an array of one or more", 1);
    }
    // An array where [] says something of its own.
    template <typename T>
    bool list_or_none(std::string_view key, std::vector<T>& target, const ValueKind<T>& kind) {
        return read_list(key, target, kind, "an array", 0);
    }
    // A value, or a non-empty array of such values.
    template <typename T>
    bool one_or_list(std::string_view key, std::vector<T>& target, const ValueKind<T>& kind) {
        if (is_array(key)) {
            return list(key, target, kind);
        }
        std::optional<T> value;
        const bool there = optional(key, value, kind);
        if (value) {
            target.push_back(std::move(*value));
        }
        return there;
    }
    [[nodiscard]] bool is_array(std::string_view key) const;

    // [key]; nothing if it is absent or no table.
    std::optional<TableReader> section(std::string_view key);
    // Every [[key]].
    std::vector<TableReader> sections(std::string_view key);

    // A key that a later version will know: an error that says so, rather than a pretence.
    void not_yet(std::string_view key, std::string_view reason);
    void missing(std::string_view key, std::string_view expected);
    // A value of `key` that is good in itself but not beside the others; where the key is not
    // written, the section stands for it.
    void reject(std::string_view key, std::string_view message);
    // To be called last: whatever was not asked for is a mistake.
    void reject_unknown();

  private:
    template <typename T>
    bool read_list(std::string_view key, std::vector<T>& target, const ValueKind<T>& kind,
                   std::string_view shape, size_t least) {
        const toml::node* node = take(key);
        const auto expected = fmt::format("{}, each {}", shape, kind.expected);
        const toml::array* array =
            node != nullptr ? elements(*node, key, expected, least) : nullptr;
        for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
            std::optional<T> value;
            convert((*array)[i], key, fmt::format("{}[{}]", path_of(key), i), value, kind);
            if (value) {
                target.push_back(std::move(*value));
            }
        }
        return node != nullptr;
    }
    template <typename T, typename Target>
    void convert(const toml::node& node, std::string_view key, const std::string& path,
                 Target& target, const ValueKind<T>& kind) {
        const Position position = locate(path, node);
        Parsed<T> value = kind.parse(node);
        if (value) {
            target = std::move(*value);
        } else {
            reading_->report(position, fmt::format("{}: {}", key, value.error()));
        }
    }

    const toml::node* take(std::string_view key);
    const toml::array* elements(const toml::node& node, std::string_view key,
                                std::string_view expected, size_t least = 1);
    Position locate(const std::string& path, const toml::node& node);
    [[nodiscard]] std::string path_of(std::string_view key) const;

    const toml::table* table_;
    std::string path_;
    Position position_;
    Reading* reading_;
    std::vector<std::string> known_; // keys that were asked for
};

} // namespace linkbal
