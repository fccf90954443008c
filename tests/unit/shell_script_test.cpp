// SPDX-License-Identifier: GPL-2.0-or-later
// What a script would run, as data: a line for each command, its words in brackets, "!" and why where
// that is not known.
#include <random>

#include <fmt/ranges.h>

#include "core/shell/script.h"
#include "support/catch.h"

using namespace linkbal;

namespace {

std::string described(const ShellCommand& command) {
    std::string text = fmt::format("{}:", command.line);
    if (command.sets_only) {
        text += " =";
    }
    for (const auto& word : command.words) {
        text += fmt::format(" [{}]", word);
    }
    for (const auto& [operation, target] : command.redirections) {
        text += fmt::format(" {} [{}]", operation, target);
    }
    return text + (command.obstacle.empty() ? "" : " ! " + command.obstacle);
}

std::vector<std::string> commands_of(std::string_view script) {
    std::vector<std::string> lines;
    for (const ShellCommand& command : read_shell_script(script)) {
        lines.push_back(described(command));
    }
    return lines;
}

struct ShellCase {
    std::string script;
    std::vector<std::string> commands;
};

const std::vector<ShellCase> plain_cases{
    {"", {}},
    {"#!/bin/sh\n\n# ip link\n   # nothing\n", {}},
    {"ip link", {"1: [ip] [link]"}},
    {"a; b;c\nd&\n", {"1: [a]", "1: [b]", "1: [c]", "2: [d]"}},
    {"a # b\nc#d", {"1: [a]", "2: [c#d]"}},
    {"a b \\\n  c\nd", {"1: [a] [b] [c]", "3: [d]"}},
    {"a b\\\nc", {"1: [a] [bc]"}},
    {"a\r\nb \\\r\n c\r\n", {"1: [a]", "2: [b] [c]"}},
    {"a 'b  c' \"d 'e'\" f\\ g '' \"\"", {"1: [a] [b  c] [d 'e'] [f g] [] []"}},
    {R"(a "x\"y\z" 'x\y')", {R"(1: [a] [x"y\z] [x\y])"}},
    {"echo 1 > /proc/x", {"1: [echo] [1] > [/proc/x]"}},
    {"echo 2 >/proc/x", {"1: [echo] [2] > [/proc/x]"}},
    {"echo 2>/dev/null 1", {"1: [echo] [1]"}},
    {"a >>b 2>&1", {"1: [a] >> [b]"}},
    {"cat >> t <<EOF\n1 a\nEOF\nb", {"1: [cat] >> [t] << [1 a\n]", "4: [b]"}},
    {"cat <<-'E'\n\tx\n\tE\nb", {"1: [cat] <<- [\tx\n]", "4: [b]"}},
    {"cat <<E\nnever ends", {"1: [cat] << [never ends]"}},
};

const std::vector<ShellCase> variable_cases{
    {"A=1\nb $A ${A}2 \"$A 3\" '$A'", {"1: =", "2: [b] [1] [12] [1 3] [$A]"}},
    {"A=\"x y\"\nb $A \"$A\" z$A", {"1: =", "2: [b] [x] [y] [x y] [zx] [y]"}},
    {"A=\nb $A c", {"1: =", "2: [b] [c]"}},
    {"A=1 B=$A\nc $B", {"1: =", "2: [c] [1]"}},
    {"A=1\nA+=2\nb $A", {"1: =", "2: =", "3: [b] [12]"}},
    {"export A=1 B\nc $A", {"1: = [export] [A=1] [B]", "2: [c] [1]"}},
    {"LC_ALL=C ip link", {"1: [ip] [link]"}},
    {"I=/sbin/iptables\n$I -F", {"1: =", "2: [/sbin/iptables] [-F]"}},
    {"a $B", {"1: ! the script does not set $B"}},
    {"a $1", {"1: ! it has a \"$1\", which only the shell can tell"}},
    {"a ${B:-c}", {"1: ! it has a \"${B:-c}\", which only the shell can tell"}},
    {"a $(b) c", {"1: ! it has a command substitution"}},
    {"a `b` c", {"1: ! it has a command substitution"}},
    {"A=$(b)\nc $A",
     {"1: =", "2: ! $A is set in line 1 and not known: it has a command substitution"}},
    {"A=1\nread A\nb $A",
     {"1: =", "2: [read] [A]", "3: ! $A is set in line 2 and not known: it is read"}},
    {"A=(1 2)\nb $A",
     {"1: = ! sets an array", "1: [1] [2] ! is in a subshell",
      "2: ! $A is set in line 1, which sets an array"}},
    {"a 'b", {"1: ! its quotation marks are not closed"}},
    {"a {1..3}", {"1: ! it has a list in braces, which shells take differently"}},
    {"a $ b$", {"1: [a] [$] [b$]"}},
};

const std::vector<ShellCase> structure_cases{
    {"for i in a b; do\n  c $i\ndone\nd", {"2: [c] [a]", "2: [c] [b]", "4: [d]"}},
    {"for i in 1 2; do for j in 3 4; do a $i$j; done; done",
     {"1: [a] [13]", "1: [a] [14]", "1: [a] [23]", "1: [a] [24]"}},
    {"for i\ndo a\ndone",
     {"2: [a] ! is in the loop of line 1, whose words the script does not say"}},
    {"for i in $(b); do c $i; d; done",
     {"1: ! $i takes words in line 1 that are not known: it has a command substitution", "1: [d]"}},
    {"if [ -x a ]; then\n b\nelse\n c\nfi\nd",
     {"1: [[] [-x] [a] []] ! runs only under the condition in line 1",
      "2: [b] ! runs only under the condition in line 1",
      "4: [c] ! runs only under the condition in line 1", "6: [d]"}},
    {"if a; then X=1; fi\nb $X",
     {"1: [a] ! runs only under the condition in line 1",
      "1: = ! runs only under the condition in line 1",
      "2: ! $X is set in line 1, which runs only under the condition in line 1"}},
    {"case $1 in\nstart) a ;;\n*) b;;\nesac\nc",
     {"2: [a] ! runs only under the condition in line 1",
      "3: [b] ! runs only under the condition in line 1", "5: [c]"}},
    {"while read x; do\n a\ndone\nb",
     {"1: [read] [x] ! runs only under the condition in line 1",
      "2: [a] ! runs only under the condition in line 1", "4: [b]"}},
    {"f() {\n a\n}\nfunction g { b; }\nf",
     {"2: [a] ! is in the function f, which is not followed",
      "4: [b] ! is in the function g, which is not followed", "5: [f]"}},
    {"(a; b)\nc", {"1: [a] ! is in a subshell", "1: [b] ! is in a subshell", "2: [c]"}},
    {"{ a; b; }", {"1: [a]", "1: [b]"}},
    {"a | b > c\nd", {"1: ! is a pipeline", "2: [d]"}},
    {"a && b || c\nd",
     {"1: [a]", "1: [b]", "1: [c] ! runs only if what is before it fails", "2: [d]"}},
    {"[ -f a ] && b\nc",
     {"1: [[] [-f] [a] []]", "1: [b] ! runs only if what is before it succeeds", "2: [c]"}},
    {"grep -q a b || echo c >> b",
     {"1: [grep] [-q] [a] [b]", "1: [echo] [c] >> [b] ! runs only if what is before it fails"}},
    {"a\nexit 0\nb", {"1: [a]", "2: [exit] [0]", "3: ! comes after the script's end in line 2"}},
    {"fi\ndone\n}\n)\n;;\nesac\na", {"7: [a]"}},
};

void check_shell_cases(const std::vector<ShellCase>& cases) {
    for (const ShellCase& item : cases) {
        INFO(item.script);
        CHECK(commands_of(item.script) == item.commands);
    }
}

} // namespace

TEST_CASE("shell: words, quotes, continued lines, here-documents") {
    check_shell_cases(plain_cases);
}
TEST_CASE("shell: variables have the values that the script sets") {
    check_shell_cases(variable_cases);
}
TEST_CASE("shell: loops are followed, what may not run says so") {
    check_shell_cases(structure_cases);
}

TEST_CASE("shell: the text of a command is what is written, on one line and not endless") {
    const auto commands =
        read_shell_script("A=1\nip  route \\\n\t add $A # x\n" + std::string(9999, 'a'));
    REQUIRE(commands.size() == 3);
    CHECK(commands[1].text == "ip route add $A");
    CHECK(commands[2].text.size() < 400);
}

TEST_CASE("shell: loops and variables that explode are cut off, and all lines are there") {
    std::string loops, ends;
    for (int depth = 0; depth < 40; ++depth) {
        loops += fmt::format("for v{} in 1 2 3 4 5 6 7 8 9; do\n", depth);
        ends += "done\n";
    }
    const auto commands = read_shell_script(loops + "a $v3\n" + ends + "b\n");
    CHECK(commands.size() < 200000);
    CHECK(commands.back().words == std::vector<std::string>{});
    CHECK(commands.back().obstacle == "comes after more than is read of loops and variables");

    std::string doubling = "A=0123456789\n";
    for (int times = 0; times < 100; ++times) {
        doubling += "A=\"$A$A$A\"\nb \"$A\"\n";
    }
    CHECK(read_shell_script(doubling).size() == 201);
}

TEST_CASE("shell: one command and one list of a loop are cut off, too") {
    std::string list;
    while (list.size() < 240000) {
        list += " $a $a";
    }
    const std::string script = "a='" + std::string(4000, 'x') + "'\n";
    const auto command = read_shell_script(script + "b" + list + "\n");
    CHECK(command.back().words.empty());
    CHECK(command.back().obstacle == "comes after more than is read of loops and variables");

    const auto loop = read_shell_script(script + "for i in" + list + "; do\nb $i\ndone\n");
    CHECK(loop.size() == 2);
    CHECK(loop.back().words.empty());
}

TEST_CASE("shell: whatever nests has an end") {
    for (const std::string opening :
         {"(", "{ ", "if ", "for i in a; do ", "case a in b) ", "$(", "${", "\"$(", "f() { ",
          "while ", "`", "'", "\"", "<<a ", "a=(", "fi ", "done "}) {
        std::string script;
        while (script.size() < 50000) {
            script += opening;
        }
        INFO(opening);
        CHECK(read_shell_script(script + "\nx\n").size() < 60000);
    }
}
