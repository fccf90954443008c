// SPDX-License-Identifier: GPL-2.0-or-later
// "Did you mean": the nearest of a few known words.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace linkbal {

// Levenshtein distance in bytes: insertions, deletions and substitutions that turn one into the
// other.
[[nodiscard]] size_t edit_distance(std::string_view a, std::string_view b);

// The known word nearest to `word`, if it is near enough to be a slip: at most a third of its
// length away. The first one wins a tie.
[[nodiscard]] std::optional<std::string> nearest_word(std::string_view word,
                                                      std::span<const std::string> known);

} // namespace linkbal
