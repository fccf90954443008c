// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/shell/script.h"

#include <algorithm>
#include <array>

#include "core/shell/expansion.h"
#include "core/shell/parser.h"

namespace linkbal {

namespace {

using Words = std::vector<std::string>;

constexpr size_t longest_text = 300;
constexpr size_t cost_of_command = 64; // bytes, beside those of its words
constexpr auto too_much = "comes after more than is read of loops and variables";

// Of the first token's beginning to the last one's end, on one line.
std::string written(std::span<const ShellToken> tokens) {
    const auto* const begin = tokens.front().text.data();
    const auto* const end = tokens.back().text.data() + tokens.back().text.size();
    std::string text;
    for (const auto* at = begin; at != end; ++at) {
        const bool joins = *at == '\\' && at + 1 != end && at[1] == '\n';
        const bool blank = *at == ' ' || *at == '\t' || *at == '\n' || *at == '\r' || joins;
        if (text.size() > longest_text) {
            return text + " ...";
        }
        if (!blank) {
            text += *at;
        } else if (!text.ends_with(' ')) {
            text += ' ';
        }
        at += joins ? 1 : 0;
    }
    return text;
}

// NAME=... or NAME+=...; the name is empty for any other word.
struct Assignment {
    std::string_view name, value;
    bool appends = false;
};
Assignment assignment(std::string_view word) {
    const auto name = leading_name(word);
    const auto rest = word.substr(name.size());
    if (name.empty() || !(rest.starts_with('=') || rest.starts_with("+="))) {
        return {};
    }
    return {name, rest.substr(rest.find('=') + 1), rest.starts_with('+')};
}

class Interpreter {
  public:
    Interpreter(std::vector<ShellStep> steps, size_t budget)
        : steps_(std::move(steps)), budget_(budget) {}

    std::vector<ShellCommand> run() {
        run_steps(0, steps_.size());
        return std::move(commands_);
    }

  private:
    void run_steps(size_t at, size_t end) {
        while (at < end) {
            const ShellStep& step = steps_[at];
            if (step.kind == ShellStep::Kind::loop) {
                run_loop(step, at + 1);
                at = std::max(step.body_end, at + 1);
            } else {
                run_command(step);
                ++at;
            }
        }
    }

    void run_loop(const ShellStep& loop, size_t body) {
        const std::string variable(loop.variable);
        Words turns;
        std::string reason = loop.obstacle;
        for (const ShellToken& token : loop.tokens) {
            const auto words = expand_word(token.text, variables_);
            if (!words) {
                reason = fmt::format("takes words in line {} that are not known: {}", loop.line,
                                     words.error().message.substr(0, longest_text));
                break;
            }
            if (!append(turns, *words)) {
                reason = fmt::format("takes more words in line {} than are read", loop.line);
                break;
            }
        }
        if (!reason.empty() || turns.empty()) {
            variables_.insert_or_assign(variable,
                                        fail("{}", reason.empty() ? "is never set" : reason));
            run_steps(body, loop.body_end);
            return;
        }
        for (const std::string& turn : turns) {
            variables_.insert_or_assign(variable, turn);
            pay(turn.size() + cost_of_command);
            run_steps(body, loop.body_end);
            if (budget_ == 0) {
                return;
            }
        }
    }

    void run_command(const ShellStep& step) {
        ShellCommand command{step.line, written(step.tokens), {}, {}, step.obstacle, false};
        if (budget_ == 0) {
            command.obstacle = too_much;
        } else if (!ended_.empty()) {
            command.obstacle = ended_;
        } else if (step.kind == ShellStep::Kind::pipeline) {
            command.obstacle = "is a pipeline";
        } else {
            read_words(step, command);
        }
        if (command.obstacle.empty() && !command.words.empty() && command.words[0] == "exit") {
            ended_ = fmt::format("comes after the script's end in line {}", step.line);
        }
        pay(command.text.size() + cost_of_command);
        commands_.push_back(std::move(command));
    }

    void read_words(const ShellStep& step, ShellCommand& command) {
        const auto tokens = step.tokens;
        const auto first = std::ranges::find_if_not(tokens, [](const ShellToken& token) {
            return token.kind == ShellToken::Kind::word && !assignment(token.text).name.empty();
        });
        const auto count = static_cast<size_t>(first - tokens.begin());
        command.sets_only = count == tokens.size();
        if (command.sets_only) {
            assign(tokens, command);
            return;
        }
        if (const auto status = expand(tokens.subspan(count), command); !status) {
            command.words.clear();
            if (command.obstacle.empty()) {
                command.obstacle = status.error().message;
            }
        }
        note_builtin(tokens.subspan(count), command);
    }

    Status expand(std::span<const ShellToken> tokens, ShellCommand& command) {
        for (size_t i = 0; i < tokens.size(); ++i) {
            const ShellToken& token = tokens[i];
            const bool redirects = token.kind == ShellToken::Kind::operation;
            const bool has_target = redirects && i + 1 < tokens.size();
            if (redirects && !has_target) {
                return fail("its redirection goes nowhere");
            }
            i += redirects ? 1 : 0;
            auto words = expand_word(tokens[i].text, variables_);
            if (!words) {
                return tl::unexpected(words.error());
            }
            if (!redirects) {
                if (!append(command.words, *words)) {
                    return fail("{}", too_much);
                }
                continue;
            }
            if (is_descriptor(tokens.first(i))) {
                command.words.pop_back();
            } else {
                command.redirections.push_back({std::string(token.text), target(token, *words)});
            }
        }
        return {};
    }

    // The 2 of "2>", which touches it.
    static bool is_descriptor(std::span<const ShellToken> tokens) {
        const auto operation = tokens.back().text;
        const auto number = tokens.size() > 1 ? tokens[tokens.size() - 2].text : std::string_view();
        return !number.empty() && number.find_first_not_of("0123456789") == std::string::npos &&
               number.data() + number.size() == operation.data();
    }

    std::string target(const ShellToken& token, const Words& words) {
        pay(token.here.size() + (words.empty() ? 0 : words.front().size()) + cost_of_command);
        return token.text.starts_with("<<") && token.text != "<<<" ? std::string(token.here)
               : words.empty()                                     ? std::string()
                                                                   : words.front();
    }

    void assign(std::span<const ShellToken> tokens, const ShellCommand& command) {
        for (const ShellToken& token : tokens) {
            const auto [name, text, appends] = assignment(token.text);
            auto value = expand_value(text, variables_);
            const auto former = variables_.find(name);
            if (appends && value && former != variables_.end()) {
                value =
                    former->second ? Result<std::string>(*former->second + *value) : former->second;
            }
            set(name, std::move(value), command);
        }
    }

    void set(std::string_view name, Result<std::string> value, const ShellCommand& command) {
        if (!command.obstacle.empty()) {
            value = fail("is set in line {}, which {}", command.line, command.obstacle);
        } else if (!value) {
            value = fail("is set in line {} and not known: {}", command.line,
                         value.error().message.substr(0, longest_text));
        } else if (budget_ == 0) {
            value = fail("is set in line {}, which {}", command.line, too_much);
        } else if (value->size() > longest_shell_value) {
            value = fail("is longer than {} bytes", longest_shell_value);
        }
        pay(value ? value->size() : cost_of_command);
        variables_.insert_or_assign(std::string(name), std::move(value));
    }

    // Commands of the shell that set variables.
    void note_builtin(std::span<const ShellToken> tokens, ShellCommand& command) {
        static constexpr std::array<std::string_view, 5> setting{"export", "readonly", "local",
                                                                 "declare", "typeset"};
        const auto name = tokens.front().text;
        const bool sets = std::ranges::find(setting, name) != setting.end();
        if (!sets && name != "read" && name != "unset") {
            return;
        }
        for (const ShellToken& token : tokens.subspan(1)) {
            if (sets && !assignment(token.text).name.empty()) {
                assign({&token, 1}, command);
            } else if (!sets && !leading_name(token.text).empty()) {
                set(leading_name(token.text),
                    fail("{}", name == "read" ? "it is read" : "it is unset"), command);
            }
        }
        if (sets && command.obstacle.empty()) {
            command.sets_only = true;
        }
    }

    // False as soon as it is too much: one line of a few kilobytes could ask for gigabytes.
    bool append(Words& words, const Words& more) {
        for (const std::string& word : more) {
            pay(word.size() + cost_of_command);
            if (budget_ == 0) {
                return false;
            }
            words.push_back(word);
        }
        return true;
    }

    void pay(size_t cost) { budget_ -= std::min(budget_, cost); }

    std::vector<ShellStep> steps_;
    size_t budget_; // bytes; at 0 nothing is followed any more
    ShellVariables variables_;
    std::vector<ShellCommand> commands_;
    std::string ended_; // not empty after "exit"
};

} // namespace

std::vector<ShellCommand> read_shell_script(std::string_view script) {
    constexpr size_t extra = size_t{2} << 20; // of loops and variables
    const auto tokens = shell_tokens(script);
    // A command has at least one byte and a newline; what stands outside of loops is always read.
    return Interpreter(shell_steps(tokens), extra + (script.size() * cost_of_command * 2)).run();
}

} // namespace linkbal
