// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/shell/lexer.h"

#include <algorithm>
#include <array>
#include <string>

namespace linkbal {

namespace {

// The longer ones first.
constexpr std::array<std::string_view, 20> operations{"<<<", "<<-", "&>>", ";;", "&&", "||", "|&",
                                                      ">>",  "<<",  ">&",  "<&", ">|", "&>", ";",
                                                      "&",   "|",   "(",   ")",  "<",  ">"};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool ends_word(char c) {
    return is_blank(c) || c == '\n' ||
           std::string_view(";&|()<>").find(c) != std::string_view::npos;
}
bool is_continuation(std::string_view text, size_t at) {
    return text.substr(at).starts_with("\\\n") || text.substr(at).starts_with("\\\r\n");
}

size_t behind(std::string_view text, size_t begin, char closing, bool escapes) {
    for (size_t at = begin; at < text.size(); ++at) {
        if (escapes && text[at] == '\\') {
            ++at;
        } else if (text[at] == closing) {
            return at + 1;
        }
    }
    return text.size();
}

// Counts brackets, but not those in quotation marks: a level of nesting costs no recursion.
size_t behind_brackets(std::string_view text, size_t begin, char opening, char closing) {
    size_t depth = 0;
    for (size_t at = begin; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '\\') {
            ++at;
        } else if (c == '\'' || c == '"') {
            at = behind(text, at + 1, c, c == '"') - 1;
        } else if (c == opening) {
            ++depth;
        } else if (c == closing && --depth == 0) {
            return at + 1;
        }
    }
    return text.size();
}

// A substitution inside is passed over with its own quotation marks.
size_t behind_double_quotes(std::string_view text, size_t begin) {
    for (size_t at = begin; at < text.size();) {
        if (text[at] == '"') {
            return at + 1;
        }
        at = text[at] == '\'' ? at + 1 : behind_quoted(text, at);
    }
    return text.size();
}

class Lexer {
  public:
    explicit Lexer(std::string_view script) : script_(script) {}

    std::vector<ShellToken> run() {
        while (at_ < script_.size()) {
            step();
        }
        return std::move(tokens_);
    }

  private:
    void step() {
        const char c = script_[at_];
        if (is_continuation(script_, at_)) {
            advance(script_.find('\n', at_) + 1);
        } else if (is_blank(c)) {
            ++at_;
        } else if (c == '\n') {
            add(ShellToken::Kind::newline, at_ + 1);
            read_here_documents();
        } else if (c == '#') {
            at_ = std::min(script_.find('\n', at_), script_.size());
        } else if (ends_word(c)) {
            const auto* const found = std::ranges::find_if(operations, [&](auto operation) {
                return script_.substr(at_).starts_with(operation);
            });
            add(ShellToken::Kind::operation, at_ + (found == operations.end() ? 1 : found->size()));
        } else {
            read_word();
        }
    }

    void read_word() {
        size_t end = at_;
        while (end < script_.size() && !ends_word(script_[end])) {
            end = is_continuation(script_, end) ? script_.find('\n', end) + 1
                                                : behind_quoted(script_, end);
        }
        const bool names_document = !tokens_.empty() && tokens_.back().text.starts_with("<<") &&
                                    tokens_.back().text != "<<<" &&
                                    tokens_.back().kind == ShellToken::Kind::operation;
        if (names_document) {
            pending_.push_back(tokens_.size() - 1);
        }
        add(ShellToken::Kind::word, end);
    }

    // The lines behind the command's, for each "<<" in it.
    void read_here_documents() {
        for (const size_t index : pending_) {
            std::string delimiter(tokens_[index + 1].text);
            std::erase_if(delimiter, [](char c) { return c == '\'' || c == '"' || c == '\\'; });
            const bool tabs = tokens_[index].text == "<<-";
            const size_t begin = at_;
            size_t end = script_.size();
            while (at_ < script_.size()) {
                const size_t stop = std::min(script_.find('\n', at_), script_.size());
                auto line = script_.substr(at_, stop - at_);
                line.remove_prefix(tabs ? std::min(line.find_first_not_of('\t'), line.size()) : 0);
                const size_t start = at_;
                advance(std::min(stop + 1, script_.size()));
                if (line == delimiter) {
                    end = start;
                    break;
                }
            }
            tokens_[index].here = script_.substr(begin, end - begin);
        }
        pending_.clear();
    }

    void add(ShellToken::Kind kind, size_t end) {
        tokens_.push_back({kind, script_.substr(at_, end - at_), line_, {}});
        advance(end);
    }
    void advance(size_t end) {
        end = std::min(end, script_.size());
        const auto passed = script_.substr(at_, end - at_);
        line_ += static_cast<uint32_t>(std::ranges::count(passed, '\n'));
        at_ = end;
    }

    std::string_view script_;
    size_t at_ = 0;
    uint32_t line_ = 1;
    std::vector<ShellToken> tokens_;
    std::vector<size_t> pending_; // "<<" of this line
};

} // namespace

size_t behind_quoted(std::string_view text, size_t at) {
    const auto rest = text.substr(at);
    if (rest.starts_with('\\')) {
        return std::min(at + 2, text.size());
    }
    if (rest.starts_with('\'')) {
        return behind(text, at + 1, '\'', false);
    }
    if (rest.starts_with('`')) {
        return behind(text, at + 1, '`', true);
    }
    if (rest.starts_with('"')) {
        return behind_double_quotes(text, at + 1);
    }
    if (rest.starts_with("$(")) {
        return behind_brackets(text, at + 1, '(', ')');
    }
    return rest.starts_with("${") ? behind_brackets(text, at + 1, '{', '}') : at + 1;
}

std::vector<ShellToken> shell_tokens(std::string_view script) { return Lexer(script).run(); }

} // namespace linkbal
