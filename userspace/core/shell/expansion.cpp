// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/shell/expansion.h"

#include <algorithm>

#include "core/shell/lexer.h"

namespace linkbal {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

class Expansion {
  public:
    Expansion(const ShellVariables& variables, bool splits)
        : variables_(variables), splits_(splits) {}

    Status read(std::string_view word) {
        for (size_t at = 0; at < word.size();) {
            const size_t end = behind_quoted(word, at);
            if (auto status = read_piece(word, at, end); !status) {
                return status;
            }
            if (size_ > longest_shell_value) {
                return too_long();
            }
        }
        close_word();
        return {};
    }
    std::vector<std::string> words() && { return std::move(words_); }

  private:
    // One character, or what is quoted from `at` to `end`; moves `at` behind it.
    Status read_piece(std::string_view word, size_t& at, size_t end) {
        const auto piece = word.substr(at, end - at);
        const char c = piece.front();
        if (c == '$') {
            return read_variable(word, at, !splits_);
        }
        at = end;
        if (c == '`') {
            return fail("it has a command substitution");
        }
        if (c == '\\') {
            append(piece.ends_with('\n') ? "" : piece.substr(1));
        } else if (c == '\'' || c == '"') {
            if (piece.size() < 2 || piece.back() != c) {
                return fail("its quotation marks are not closed");
            }
            open_ = true;
            const auto inside = piece.substr(1, piece.size() - 2);
            if (c == '"') {
                return read_quoted(inside);
            }
            append(inside);
        } else {
            append(piece);
        }
        return {};
    }

    Status read_quoted(std::string_view text) {
        for (size_t at = 0; at < text.size();) {
            const char c = text[at];
            if (c == '`') {
                return fail("it has a command substitution");
            }
            if (c == '$') {
                if (auto status = read_variable(text, at, true); !status) {
                    return status;
                }
                continue;
            }
            const bool escapes =
                c == '\\' && at + 1 < text.size() &&
                std::string_view("$`\"\\\n").find(text[at + 1]) != std::string_view::npos;
            at += escapes ? 1 : 0;
            append(escapes && text[at] == '\n' ? "" : text.substr(at, 1));
            ++at;
        }
        return {};
    }

    Status read_variable(std::string_view text, size_t& at, bool quoted) {
        const auto rest = text.substr(at + 1);
        if (rest.starts_with('(')) {
            return fail("it has a command substitution");
        }
        const bool braces = rest.starts_with('{');
        const auto name = leading_name(rest.substr(braces ? 1 : 0));
        if (name.empty() || (braces && !rest.substr(name.size() + 1).starts_with('}'))) {
            return read_dollar(text, at);
        }
        const auto found = variables_.find(name);
        if (found == variables_.end()) {
            return fail("the script does not set ${}", name);
        }
        if (!found->second) {
            return fail("${} {}", name, found->second.error().message);
        }
        at += 1 + name.size() + (braces ? 2 : 0);
        quoted ? append(*found->second) : split(*found->second);
        return size_ > longest_shell_value ? too_long() : Status();
    }
    static Status too_long() {
        return fail("it becomes longer than {} bytes", longest_shell_value);
    }

    // A dollar sign that no name follows.
    Status read_dollar(std::string_view text, size_t& at) {
        const auto rest = text.substr(at + 1);
        if (!rest.empty() &&
            (is_digit(rest.front()) ||
             std::string_view("@*#?$!-{'\"").find(rest.front()) != std::string_view::npos)) {
            return fail("it has a \"{}\", which only the shell can tell",
                        text.substr(at, rest.front() == '{' ? behind_quoted(text, at) - at : 2));
        }
        append("$");
        ++at;
        return {};
    }

    void split(std::string_view value) {
        for (const char c : value) {
            is_blank(c) ? close_word() : append({&c, 1});
        }
    }
    void append(std::string_view text) {
        open_ = open_ || !text.empty();
        current_ += text;
        size_ += text.size();
    }
    void close_word() {
        if (open_) {
            words_.push_back(std::move(current_));
        }
        current_.clear();
        open_ = false;
    }

    const ShellVariables& variables_;
    bool splits_;
    std::vector<std::string> words_;
    std::string current_;
    bool open_ = false; // a word has begun, even an empty one
    size_t size_ = 0;
};

// bash makes several words of "{a,b}" and "{1..3}", sh does not.
bool has_brace_list(std::string_view word) {
    const size_t opening = word.find('{');
    const bool quoted = word.find_first_of("'\"$") != std::string_view::npos;
    if (quoted || opening == std::string_view::npos) {
        return false;
    }
    const auto inside = word.substr(opening, word.find('}', opening) - opening);
    return inside.find(',') != std::string_view::npos ||
           inside.find("..") != std::string_view::npos;
}

} // namespace

std::string_view leading_name(std::string_view text) {
    if (text.empty() || !is_letter(text.front())) {
        return {};
    }
    const auto* const end =
        std::ranges::find_if_not(text, [](char c) { return is_letter(c) || is_digit(c); });
    return {text.begin(), end};
}

Result<std::vector<std::string>> expand_word(std::string_view word,
                                             const ShellVariables& variables) {
    if (has_brace_list(word)) {
        return fail("it has a list in braces, which shells take differently");
    }
    Expansion expansion(variables, true);
    if (const auto status = expansion.read(word); !status) {
        return tl::unexpected(status.error());
    }
    return std::move(expansion).words();
}

Result<std::string> expand_value(std::string_view word, const ShellVariables& variables) {
    Expansion expansion(variables, false);
    if (const auto status = expansion.read(word); !status) {
        return tl::unexpected(status.error());
    }
    auto words = std::move(expansion).words();
    return words.empty() ? std::string() : std::move(words.front());
}

} // namespace linkbal
