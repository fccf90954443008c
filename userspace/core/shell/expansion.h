// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of a word of a shell script: quotes go, variables get their values.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "util/result.h"

namespace linkbal {

// The value, or why it isn't known: "is set under a condition".
using ShellVariables = std::map<std::string, Result<std::string>, std::less<>>;

// No value of a variable and no word becomes longer.
inline constexpr size_t longest_shell_value = 4096;

// The words that a word becomes: none, one or, by a variable with spaces in it, several. An error says
// why they can't be known, as in "it has a command substitution".
[[nodiscard]] Result<std::vector<std::string>> expand_word(std::string_view word,
                                                           const ShellVariables& variables);

// The same for what stands right of "=", where spaces separate nothing.
[[nodiscard]] Result<std::string> expand_value(std::string_view word,
                                               const ShellVariables& variables);

// The letters, digits and "_" that `text` begins with, if they are the name of a variable.
[[nodiscard]] std::string_view leading_name(std::string_view text);

} // namespace linkbal
