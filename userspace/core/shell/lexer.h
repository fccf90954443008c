// SPDX-License-Identifier: GPL-2.0-or-later
// The words and operators of a shell script, as POSIX.1-2017, chapter 2 of "Shell & Utilities", has
// them. Any bytes give tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace linkbal {

struct ShellToken {
    enum class Kind : uint8_t { word, operation, newline } kind = Kind::word;
    std::string_view text; // of a word with its quotes
    uint32_t line = 0;     // from 1
    std::string_view here; // of "<<": the lines up to its delimiter
    [[nodiscard]] bool is(std::string_view operation) const {
        return kind == Kind::operation && text == operation;
    }
    [[nodiscard]] bool is_word(std::string_view word) const {
        return kind == Kind::word && text == word;
    }
};

// Views into `script`, which has to outlive them. Comments and continued lines' ends are no tokens.
[[nodiscard]] std::vector<ShellToken> shell_tokens(std::string_view script);

// Behind the closing character of what begins at text[at]: a quotation, "$(...)", "${...}" or
// `...`; text.size() if it never closes. Of any other character: behind it.
[[nodiscard]] size_t behind_quoted(std::string_view text, size_t at);

} // namespace linkbal
