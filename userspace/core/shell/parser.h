// SPDX-License-Identifier: GPL-2.0-or-later
// The commands of a shell script and what they stand in, from its tokens. A flat list: a loop is
// followed by the steps of its body.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/shell/lexer.h"

namespace linkbal {

struct ShellStep {
    enum class Kind : uint8_t { command, pipeline, loop } kind = Kind::command;
    std::span<const ShellToken> tokens; // of a loop: its words
    uint32_t line = 0;
    std::string obstacle;      // why it may not run: "runs only under the condition of line 3"
    std::string_view variable; // of a loop
    size_t body_end = 0;       // of a loop: the step behind its body
};

// Views into `tokens`.
[[nodiscard]] std::vector<ShellStep> shell_steps(std::span<const ShellToken> tokens);

} // namespace linkbal
