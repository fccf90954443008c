// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/shell/parser.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <ranges>

#include <fmt/format.h>

namespace linkbal {

namespace {

using Kind = ShellToken::Kind;

// What a command can stand in.
struct Context {
    enum class Kind : uint8_t { condition, repetition, choice, function, subshell, group, loop };
    Kind kind;
    uint32_t line;
    std::string obstacle; // of everything in it
    size_t step = 0;      // of a loop
    bool at_pattern = false;
};

// Nobody writes deeper ones by hand, and looking for the end of one stays cheap.
constexpr size_t deepest_nesting = 64;

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, word) != words.end();
}

// Commands whose result is what they are run for.
bool is_test(std::string_view word) {
    return is_one_of(word.substr(word.rfind('/') + 1), {"[", "[[", "test", "grep", "which",
                                                        "command", "type", "pidof", "lsmod", "!"});
}

class Parser {
  public:
    explicit Parser(std::span<const ShellToken> tokens) : tokens_(tokens) {}

    std::vector<ShellStep> run() {
        while (at_ < tokens_.size()) {
            step();
        }
        while (!contexts_.empty()) {
            close_last();
        }
        return std::move(steps_);
    }

  private:
    [[nodiscard]] const ShellToken& now() const { return tokens_[at_]; }
    [[nodiscard]] bool has(size_t more) const { return at_ + more < tokens_.size(); }

    void step() {
        if (!contexts_.empty() && contexts_.back().at_pattern && !now().is_word("esac")) {
            contexts_.back().at_pattern = !now().is(")");
            ++at_;
        } else if (now().kind == Kind::newline) {
            after_ = {};
            ++at_;
        } else if (now().kind == Kind::operation && !is_redirection(now())) {
            read_operation();
        } else if (!read_reserved() && !read_function()) {
            read_command();
        }
    }

    static bool is_redirection(const ShellToken& token) {
        return token.kind == Kind::operation && token.text.find_first_of("<>") != std::string::npos;
    }

    void read_operation() {
        const auto text = now().text;
        if (text == "(") {
            open(Context::Kind::subshell, "is in a subshell");
        } else if (text == ")") {
            close({Context::Kind::subshell});
        } else if (text == ";;" && !contexts_.empty()) {
            contexts_.back().at_pattern = contexts_.back().kind == Context::Kind::choice;
        }
        if (text == "&&") {
            after_ =
                after_test_ || !after_.empty() ? "runs only if what is before it succeeds" : "";
        } else if (text == "||") {
            after_ = "runs only if what is before it fails";
        } else {
            after_ = text.starts_with('|') ? "is part of a pipeline" : "";
        }
        ++at_;
    }

    // Whether it was a word that belongs to the shell's grammar.
    bool read_reserved() {
        const auto word = now().text;
        const auto under = [&] {
            return fmt::format("runs only under the condition in line {}", now().line);
        };
        if (word == "if") {
            open(Context::Kind::condition, under());
        } else if (word == "while" || word == "until") {
            open(Context::Kind::repetition, under());
        } else if (word == "case") {
            open(Context::Kind::choice, under());
            skip_to("in");
            if (!contexts_.empty()) {
                contexts_.back().at_pattern = contexts_.back().kind == Context::Kind::choice;
            }
        } else if (word == "for") {
            return read_loop();
        } else if (word == "{") {
            open(Context::Kind::group, "");
        } else if (!read_end(word) && !is_one_of(word, {"then", "else", "elif", "do", "!"})) {
            return false;
        }
        ++at_;
        return true;
    }

    bool read_end(std::string_view word) {
        if (word == "fi") {
            close({Context::Kind::condition});
        } else if (word == "done") {
            close({Context::Kind::repetition, Context::Kind::loop});
        } else if (word == "esac") {
            close({Context::Kind::choice});
        } else if (word == "}") {
            close({Context::Kind::group, Context::Kind::function});
        } else {
            return false;
        }
        return true;
    }

    // for NAME in WORD...; without "in" it takes the script's arguments.
    bool read_loop() {
        const uint32_t line = now().line;
        const auto name = has(1) && tokens_[at_ + 1].kind == Kind::word ? tokens_[at_ + 1].text
                                                                        : std::string_view();
        const bool arguments = name.empty() || !has(2) || !tokens_[at_ + 2].is_word("in");
        at_ = std::min(at_ + (arguments ? 1 : 3), tokens_.size());
        const size_t first = at_;
        while (at_ < tokens_.size() && now().kind == Kind::word) {
            ++at_;
        }
        open(Context::Kind::loop,
             arguments ? fmt::format(
                             "is in the loop of line {}, whose words the script does not say", line)
                       : "");
        if (!contexts_.empty() && contexts_.back().kind == Context::Kind::loop) {
            contexts_.back().step = steps_.size();
            steps_.push_back({ShellStep::Kind::loop, tokens_.subspan(first, at_ - first), line,
                              obstacle(), name, 0});
        }
        return true;
    }

    // NAME() or function NAME: its body is what follows.
    bool read_function() {
        const bool keyword = now().is_word("function") && has(1);
        const bool brackets = has(2) && tokens_[at_ + 1].is("(") && tokens_[at_ + 2].is(")");
        if (now().kind != Kind::word || (!keyword && !brackets)) {
            return false;
        }
        at_ += keyword ? 1 : 0;
        const auto name = now().text;
        ++at_;
        while (at_ < tokens_.size() &&
               (now().is("(") || now().is(")") || now().kind == Kind::newline)) {
            ++at_;
        }
        if (at_ < tokens_.size() && now().is_word("{")) {
            open(Context::Kind::function,
                 fmt::format("is in the function {}, which is not followed", name.substr(0, 40)));
            ++at_;
        }
        return true;
    }

    void read_command() {
        const size_t first = at_;
        bool pipeline = false;
        for (; at_ < tokens_.size(); ++at_) {
            if (is_redirection(now())) {
                at_ += has(1) && tokens_[at_ + 1].kind == Kind::word ? 1 : 0;
            } else if ((now().is("|") || now().is("|&")) && has(1) && !begins_block(at_ + 1)) {
                pipeline = true;
                at_ += tokens_[at_ + 1].kind == Kind::newline ? 1 : 0;
            } else if (now().kind != Kind::word) {
                break;
            }
        }
        after_test_ = is_test(tokens_[first].text);
        steps_.push_back({pipeline ? ShellStep::Kind::pipeline : ShellStep::Kind::command,
                          tokens_.subspan(first, at_ - first),
                          tokens_[first].line,
                          obstacle(),
                          {},
                          0});
        if (at_ < tokens_.size() && now().is("(") && tokens_[at_ - 1].text.ends_with('=')) {
            steps_.back().obstacle = "sets an array";
        }
    }

    [[nodiscard]] bool begins_block(size_t index) const {
        const ShellToken& token = tokens_[index];
        return token.is("(") || is_one_of(token.text, {"while", "until", "for", "if", "case", "{"});
    }

    [[nodiscard]] std::string obstacle() const {
        if (too_deep_) {
            return "is nested too deeply";
        }
        return contexts_.empty() || contexts_.back().obstacle.empty() ? std::string(after_)
                                                                      : contexts_.back().obstacle;
    }

    // What surrounds a block holds for what is in it, if that has nothing of its own.
    void open(Context::Kind kind, const std::string& own) {
        if (contexts_.size() == deepest_nesting) {
            too_deep_ = true;
            return;
        }
        const std::string outside = obstacle();
        contexts_.push_back({kind, now_line(), own.empty() ? outside : own});
        after_ = {};
    }
    [[nodiscard]] uint32_t now_line() const { return at_ < tokens_.size() ? now().line : 0; }

    // The innermost of these kinds, with what has been left open in it.
    void close(std::initializer_list<Context::Kind> kinds) {
        const auto backwards = std::views::reverse(contexts_);
        const auto found = std::ranges::find_if(backwards, [&](const Context& open) {
            return std::ranges::find(kinds, open.kind) != kinds.end();
        });
        const auto inside = found - backwards.begin();
        for (auto left = found == backwards.end() ? 0 : inside + 1; left > 0; --left) {
            close_last();
        }
        after_ = {};
    }
    void close_last() {
        if (contexts_.back().kind == Context::Kind::loop) {
            steps_[contexts_.back().step].body_end = steps_.size();
        }
        contexts_.pop_back();
    }

    void skip_to(std::string_view word) {
        while (has(1) && !now().is_word(word) && now().kind != Kind::newline) {
            ++at_;
        }
    }

    std::span<const ShellToken> tokens_;
    size_t at_ = 0;
    std::vector<Context> contexts_;
    std::vector<ShellStep> steps_;
    std::string_view after_;  // what "&&", "||" or "|" in front makes of the next command
    bool after_test_ = false; // the last command was one for its result
    bool too_deep_ = false;
};

} // namespace

std::vector<ShellStep> shell_steps(std::span<const ShellToken> tokens) {
    return Parser(tokens).run();
}

} // namespace linkbal
