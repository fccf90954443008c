// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/table_names.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sstream>

#include "util/file.h"

namespace linkbal {

namespace {

namespace fs = std::filesystem;

constexpr auto own_directory = "/etc/iproute2/rt_tables.d";
constexpr auto vendor_directory = "/usr/share/iproute2";
constexpr std::string_view header =
    "# Routing tables of linkbal; `linkbal down` removes this file.\n";

// Numbers are decimal or 0x hexadecimal.
std::optional<uint32_t> parse_number(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x");
    if (hexadecimal) {
        text.remove_prefix(2);
    }
    uint32_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number, hexadecimal ? 16 : 10);
    return error == std::errc{} && stop == end ? std::optional(number) : std::nullopt;
}

// Another instance of linkbal names the tables of another network namespace: no concern of ours.
void add_names(std::vector<TableName>& all, const fs::path& path) {
    const auto text = read_file(path);
    if (text && !text->starts_with(header)) {
        std::ranges::copy(parse_table_names(*text), std::back_inserter(all));
    }
}

} // namespace

std::vector<TableName> parse_table_names(const std::string& text) {
    std::vector<TableName> names;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string number;
        std::string name;
        if (words >> number >> name) {
            if (const auto table = parse_number(number)) {
                names.push_back({*table, name});
            }
        }
    }
    return names;
}

std::string table_names_text(const std::vector<TableName>& names) {
    std::string text(header);
    for (const TableName& name : names) {
        text += fmt::format("{}\t{}\n", name.table, name.name);
    }
    return text;
}

fs::path table_names_path(const std::string& instance) {
    return fs::path(own_directory) / (instance + ".conf");
}

Result<std::optional<std::vector<TableName>>> read_table_names(const std::string& instance) {
    const auto path = table_names_path(instance);
    if (!fs::exists(path)) {
        return std::nullopt;
    }
    const auto text = read_file(path);
    if (!text) {
        return tl::unexpected(text.error());
    }
    return parse_table_names(*text);
}

std::vector<TableName> read_foreign_table_names(const std::string& instance) {
    std::vector<TableName> all;
    const fs::path etc = fs::path(own_directory).parent_path();
    add_names(all, fs::exists(etc / "rt_tables") ? etc / "rt_tables"
                                                 : fs::path(vendor_directory) / "rt_tables");
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(own_directory, ignored)) {
        if (entry.path().extension() == ".conf" && entry.path() != table_names_path(instance)) {
            add_names(all, entry.path());
        }
    }
    return all;
}

Status write_table_names(const std::string& instance,
                         const std::optional<std::vector<TableName>>& names) {
    const auto path = table_names_path(instance);
    std::error_code error;
    if (!names) {
        fs::remove(path, error);
        return error ? Status(fail_errno(error.value(), fmt::format("remove {}", path.string())))
                     : Status{};
    }
    // Left behind empty by `down`: iproute2's packages own it where they know it.
    fs::create_directories(path.parent_path(), error);
    return write_file_atomically(path, table_names_text(*names));
}

} // namespace linkbal
