// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/suggest.h"

#include <algorithm>
#include <vector>

namespace linkbal {

namespace {

// Longer words are no slips of ours, and the distance takes time that is the product of the
// lengths.
constexpr size_t longest_word = 64;

} // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> distance(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) {
        for (size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                distance[i][j] = i + j;
                continue;
            }
            const size_t substituted = distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            distance[i][j] =
                std::min({distance[i - 1][j] + 1, distance[i][j - 1] + 1, substituted});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                distance[i][j] = std::min(distance[i][j], distance[i - 2][j - 2] + 1);
            }
        }
    }
    return distance.back().back();
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
