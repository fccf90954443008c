// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/suggest.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace linkbal {

namespace {

// Longer words are no slips of ours, and the distance takes time that is the product of the
// lengths.
constexpr size_t longest_word = 64;

} // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < a.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i + 1);
        for (size_t j = 0; j < b.size(); ++j) {
            const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j] + 1, diagonal + 1, substituted});
        }
    }
    return row.back();
}

std::optional<std::string> nearest_word(std::string_view word, std::span<const std::string> known) {
    if (word.size() > longest_word) {
        return std::nullopt;
    }
    const auto distance = [&](const std::string& other) { return edit_distance(word, other); };
    const auto best = std::ranges::min_element(known, {}, distance);
    if (best == known.end() || distance(*best) > std::max<size_t>(1, best->size() / 3)) {
        return std::nullopt;
    }
    return *best;
}

} // namespace linkbal
