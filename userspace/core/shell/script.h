// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a simple shell script without running anything of it: what commands would be run, with which
// words. Variables that the script itself sets and loops over words are followed. What can't be known
// without running it (substitutions, pipes, functions) is there with a reason.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linkbal {

struct ShellRedirection {
    std::string operation; // ">", ">>", "<<"...
    std::string target;    // of "<<": the lines of the here-document
};

struct ShellCommand {
    uint32_t line = 0;              // where it begins
    std::string text;               // as written, continued lines joined, cut off where it is long
    std::vector<std::string> words; // with variables' values; empty if they can't be known
    std::vector<ShellRedirection> redirections;
    std::string obstacle; // why it isn't known what is done, or whether: "is a pipeline"; or empty
    bool sets_only = false; // variables: there is no command
};

// In the order in which they would be run; those of a loop once a turn. Time and size are in proportion
// to the script's, with a limit on what loops and variables make of it: what is beyond it has that as
// its obstacle.
[[nodiscard]] std::vector<ShellCommand> read_shell_script(std::string_view script);

} // namespace linkbal
