// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/table_names.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <ranges>
#include <set>
#include <sstream>
#include <system_error>

#include "util/file.h"

namespace linkbal {

namespace {

namespace fs = std::filesystem;

constexpr auto own_directory = "/etc/iproute2/rt_tables.d";
// Where iproute2 looks, the administrator's first (CONF_ETC_DIR and CONF_USR_DIR; the latter was
// below /usr/lib in version 6.5).
constexpr std::array directories{"/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"};
constexpr std::string_view header =
    "# Routing tables of linkbal; `linkbal down` removes this file.\n";
// A line for each directory that was not there before.
constexpr std::string_view made_directory = "# made by linkbal: ";

// Numbers are decimal or 0x hexadecimal.
std::optional<uint32_t> parse_number(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x");
    if (hexadecimal) {
        text.remove_prefix(2);
    }
    uint32_t number = 0;
    const char* end = std::to_address(text.end());
    const auto [stop, error] =
        std::from_chars(std::to_address(text.begin()), end, number, hexadecimal ? 16 : 10);
    return error == std::errc{} && stop == end ? std::optional(number) : std::nullopt;
}

bool is_ours(std::string_view text) { return text.starts_with(header); }

// Another instance of linkbal names the tables of another network namespace: no concern of ours.
void add_names(std::vector<TableName>& all, const fs::path& path) {
    const auto text = read_file(path);
    if (text && !is_ours(*text)) {
        std::ranges::copy(parse_table_names(*text), std::back_inserter(all));
    }
}

std::vector<fs::path> configurations_in(const fs::path& directory) {
    std::vector<fs::path> paths;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) {
        if (entry.path().extension() == ".conf") {
            paths.push_back(entry.path());
        }
    }
    std::ranges::sort(paths);
    return paths;
}

// The directories that linkbal has made, as its files say, innermost last. Any instance's file: the
// last one to go takes the directories with it.
std::vector<std::string> made_directories() {
    std::set<std::string> made;
    for (const fs::path& path : configurations_in(own_directory)) {
        const auto text = read_file(path);
        std::istringstream lines(text && is_ours(*text) ? *text : "");
        for (std::string line; std::getline(lines, line);) {
            if (line.starts_with(made_directory)) {
                made.insert(line.substr(made_directory.size()));
            }
        }
    }
    return {made.begin(), made.end()};
}

// Also returns those that were made before.
Result<std::vector<std::string>> make_directories() {
    std::vector<std::string> made = made_directories();
    const fs::path inner(own_directory);
    for (const fs::path& directory : {inner.parent_path(), inner}) {
        std::error_code error;
        const bool is_new = fs::create_directory(directory, error);
        if (error) {
            return fail_errno(error.value(), fmt::format("create {}", directory.string()));
        }
        if (is_new) {
            made.push_back(directory.string());
        }
    }
    return made;
}

Status remove_file(const fs::path& path) {
    const auto made = made_directories();
    std::error_code error;
    fs::remove(path, error);
    if (error) {
        return fail_errno(error.value(), fmt::format("remove {}", path.string()));
    }
    for (const std::string& directory : made | std::views::reverse) {
        fs::remove(directory, error); // stays if somebody keeps a file in it
    }
    return {};
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

std::string table_names_text(const std::vector<TableName>& names,
                             const std::vector<std::string>& made) {
    std::string text(header);
    for (const std::string& directory : made) {
        text += fmt::format("{}{}\n", made_directory, directory);
    }
    for (const TableName& name : names) {
        text += fmt::format("{}\t{}\n", name.table, name.name);
    }
    return text;
}

fs::path table_names_path(const std::string& instance) {
    return fs::path(own_directory) / (instance + ".conf");
}

Status check_table_names_file(const std::string& instance) {
    const auto path = table_names_path(instance);
    const auto text = read_file(path);
    if (!text) {
        return text.error().code == ENOENT ? Status{} : tl::unexpected(text.error());
    }
    return is_ours(*text) ? Status{}
                          : Status(fail("{} was not written by linkbal: rename it, or name this "
                                        "instance differently with --instance",
                                        path.string()));
}

Result<std::optional<std::vector<TableName>>> read_table_names(const std::string& instance) {
    const auto text = read_file(table_names_path(instance));
    if (!text && text.error().code != ENOENT) {
        return tl::unexpected(text.error());
    }
    if (!text || !is_ours(*text)) {
        return std::nullopt;
    }
    return parse_table_names(*text);
}

std::vector<TableName> read_foreign_table_names(const std::string& instance) {
    std::vector<TableName> all;
    // Of files of one name in several directories the first counts.
    std::set<fs::path> seen{table_names_path(instance).filename()};
    bool has_main = false;
    for (const fs::path directory : directories) {
        if (!has_main && fs::exists(directory / "rt_tables")) {
            add_names(all, directory / "rt_tables");
            has_main = true;
        }
        for (const fs::path& path : configurations_in(directory / "rt_tables.d")) {
            if (seen.insert(path.filename()).second) {
                add_names(all, path);
            }
        }
    }
    return all;
}

Status write_table_names(const std::string& instance,
                         const std::optional<std::vector<TableName>>& names) {
    if (auto ours = check_table_names_file(instance); !ours) {
        return ours;
    }
    const auto path = table_names_path(instance);
    if (!names) {
        return remove_file(path);
    }
    const auto made = make_directories();
    if (!made) {
        return tl::unexpected(made.error());
    }
    return write_file_atomically(path, table_names_text(*names, *made));
}

void discard_unfinished_table_names(const std::string& instance) {
    const auto path = unfinished_path(table_names_path(instance));
    const auto text = read_file(path);
    if (text && (is_ours(*text) || header.starts_with(*text))) {
        std::error_code ignored;
        fs::remove(path, ignored);
    }
}

} // namespace linkbal
