// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/toml_reader.h"

#include <algorithm>

#include "core/suggest.h"

namespace linkbal {

namespace {

// toml++ leaves a region empty (line 0) for what the file does not spell out, such as the table `a`
// in `[a.b]`.
Position position_in(const toml::source_region& region, Position otherwise) {
    return region.begin.line != 0 ? Position{region.begin.line, region.begin.column} : otherwise;
}

// "uplink[2].health" as it is written in the file: "uplink.health".
std::string without_indexes(std::string path) {
    while (path.find('[') != std::string::npos) {
        path.erase(path.find('['), path.find(']') - path.find('[') + 1);
    }
    return path;
}

} // namespace

std::string describe(const toml::node& node) {
    switch (node.type()) {
    case toml::node_type::string:
        return fmt::format("{:?}", node.ref<std::string>());
    case toml::node_type::integer:
        return fmt::format("{}", node.ref<int64_t>());
    case toml::node_type::floating_point:
        return fmt::format("the fraction {}", node.ref<double>());
    case toml::node_type::boolean:
        return fmt::format("{}", node.ref<bool>());
    case toml::node_type::table:
        return "a table";
    case toml::node_type::array:
        return node.as_array()->empty() ? "an empty array" : "an array";
    default:
        return "a date or time";
    }
}

tl::unexpected<std::string> mismatch(std::string_view expected, const toml::node& node) {
    return tl::unexpected(fmt::format("expected {}, found {}", expected, describe(node)));
}

void Reading::report(Position position, std::string message) {
    errors.push_back({file, position, std::move(message)});
}

TableReader::TableReader(const toml::table& table, std::string path, Position position,
                         Reading& reading)
    : table_(&table), path_(std::move(path)), position_(position), reading_(&reading) {}

std::optional<TableReader> TableReader::section(std::string_view key) {
    const toml::node* node = take(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    const Position position = locate(path_of(key), *node);
    if (const toml::table* table = node->as_table()) {
        return TableReader(*table, path_of(key), position, *reading_);
    }
    reading_->report(position, fmt::format("{}: expected one [{}] section, found {}", key,
                                           without_indexes(path_of(key)), describe(*node)));
    return std::nullopt;
}

std::vector<TableReader> TableReader::sections(std::string_view key) {
    const toml::node* node = take(key);
    const auto expected = fmt::format("[[{}]] sections", without_indexes(path_of(key)));
    const toml::array* array = node != nullptr ? elements(*node, key, expected) : nullptr;
    std::vector<TableReader> readers;
    for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
        const toml::node& element = (*array)[i];
        auto path = fmt::format("{}[{}]", path_of(key), i);
        const Position position = locate(path, element);
        if (const toml::table* table = element.as_table()) {
            readers.emplace_back(*table, std::move(path), position, *reading_);
        } else {
            reading_->report(position, fmt::format("{}: expected {}, found {}", key, expected,
                                                   describe(element)));
        }
    }
    return readers;
}

bool TableReader::is_array(std::string_view key) const {
    const toml::node* node = table_->get(key);
    return node != nullptr && node->is_array();
}

void TableReader::not_yet(std::string_view key, std::string_view reason) {
    const auto entry = table_->find(key);
    if (entry != table_->end()) {
        known_.emplace_back(key);
        reading_->report(position_in(entry->first.source(), position_),
                         fmt::format("{}: {}", key, reason));
    }
}

void TableReader::missing(std::string_view key, std::string_view expected) {
    reading_->report(position_, fmt::format("{} is missing: expected {}", key, expected));
}

void TableReader::reject(std::string_view key, std::string_view message) {
    const toml::node* node = table_->get(key);
    reading_->report(node != nullptr ? position_in(node->source(), position_) : position_,
                     fmt::format("{}: {}", key, message));
}

void TableReader::reject_unknown() {
    for (const auto& [key, node] : *table_) {
        if (std::ranges::find(known_, key.str()) != known_.end()) {
            continue;
        }
        const auto nearest = nearest_word(key.str(), known_);
        reading_->report(
            position_in(key.source(), position_),
            nearest ? fmt::format("unknown key {:?}, did you mean {}?", key.str(), *nearest)
                    : fmt::format("unknown key {:?}, expected one of {}", key.str(),
                                  fmt::join(known_, ", ")));
    }
}

const toml::node* TableReader::take(std::string_view key) {
    known_.emplace_back(key);
    return table_->get(key);
}

const toml::array* TableReader::elements(const toml::node& node, std::string_view key,
                                         std::string_view expected, size_t least) {
    const toml::array* array = node.as_array();
    if (array == nullptr || array->size() < least) {
        reading_->report(locate(path_of(key), node),
                         fmt::format("{}: expected {}, found {}", key, expected, describe(node)));
        return nullptr;
    }
    locate(path_of(key), node);
    return array;
}

Position TableReader::locate(const std::string& path, const toml::node& node) {
    const Position position = position_in(node.source(), position_);
    reading_->positions.insert_or_assign(path, position);
    return position;
}

std::string TableReader::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

} // namespace linkbal
