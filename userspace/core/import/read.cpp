// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/read.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/import/words.h"

namespace linkbal {

namespace {

// Rules are compared with each other; nobody has as many.
constexpr size_t most_commands = 8192;

std::string_view program_name(std::string_view word) { return word.substr(word.rfind('/') + 1); }

// Behind "sudo" and the like.
CommandWordSpan command_words(const ShellCommand& command) {
    CommandWordSpan words = command.words;
    static constexpr std::array<std::string_view, 4> prefixes{"sudo", "exec", "command", "nice"};
    while (words.size() > 1 &&
           std::ranges::find(prefixes, program_name(words.front())) != prefixes.end()) {
        words = words.subspan(1);
    }
    return words;
}

bool is_harmless(std::string_view program) {
    static constexpr std::array<std::string_view, 17> programs{
        "echo", "printf", "sleep", "true", ":",    "exit",   "return", "[",    "[[",
        "test", "set",    "clear", "date", "wait", "logger", "depmod", "shift"};
    return std::ranges::find(programs, program) != programs.end();
}

bool is_table_file(std::string_view path) {
    return path.ends_with("/iproute2/rt_tables") ||
           path.find("/iproute2/rt_tables.d/") != std::string_view::npos;
}

// "10 velox1", a line each; echo's own spelling of a tab or of the end of a line counts, too.
std::string without_escapes(std::string_view written) {
    std::string text;
    for (size_t at = 0; at < written.size(); ++at) {
        const auto rest = written.substr(at);
        const bool tab = rest.starts_with("\\t");
        const bool escape = tab || rest.starts_with("\\n");
        text += tab ? '\t' : escape ? '\n' : written[at];
        at += escape ? 1 : 0;
    }
    return text;
}

void read_tables(std::string_view written, size_t command, ScriptFacts& facts,
                 ImportLedger& ledger) {
    const std::string text = without_escapes(written);
    for (const auto line : split_words(text, "\n")) {
        const auto words = split_words(line.substr(0, line.find('#')), " \t\r");
        const auto number = words.size() == 2 ? number_word(words[0]) : std::nullopt;
        if (number) {
            facts.table_numbers.try_emplace(std::string(words[1]), *number);
        }
    }
    ledger.taken(command, "the number of a table");
}

std::string joined(CommandWordSpan words) { return fmt::format("{}", fmt::join(words, " ")); }

// What echo or cat writes into a file; true if that is something known.
bool read_written(const ShellCommand& shell, CommandWordSpan words, size_t command,
                  ScriptFacts& facts, ImportLedger& ledger) {
    const auto& redirections = shell.redirections;
    const auto output = std::ranges::find_if(
        redirections, [](const auto& r) { return r.operation == ">" || r.operation == ">>"; });
    if (output == redirections.end()) {
        return false;
    }
    const auto here = std::ranges::find_if(
        redirections, [](const auto& r) { return r.operation.starts_with("<<"); });
    const bool options = words.size() > 1 && words[1].starts_with('-');
    const std::string text =
        here != redirections.end()
            ? here->target
            : joined(words.subspan(std::min<size_t>(options ? 2 : 1, words.size())));
    if (is_table_file(output->target)) {
        read_tables(text, command, facts, ledger);
        return true;
    }
    static constexpr std::string_view settings = "/proc/sys/";
    if (output->target.starts_with(settings) && shell.obstacle.empty()) {
        read_setting(output->target.substr(settings.size()), text, command, ledger);
        return true;
    }
    return false;
}

// sysctl [-w] KEY=VALUE..., with dots or slashes
void read_sysctl(CommandWordSpan words, size_t command, ImportLedger& ledger) {
    for (const std::string& word : words) {
        const size_t equals = word.find('=');
        if (!word.starts_with('-') && equals != std::string::npos) {
            std::string key = word.substr(0, equals);
            if (key.find('/') == std::string::npos) {
                std::ranges::replace(key, '.', '/');
            }
            read_setting(key, word.substr(equals + 1), command, ledger);
        }
    }
}

std::optional<Family> family_of_iptables(std::string_view program) {
    static constexpr std::array<std::string_view, 3> kinds{"", "-legacy", "-nft"};
    for (const auto& [name, family] :
         {std::pair<std::string_view, Family>{"iptables", Family::ipv4},
          {"ip6tables", Family::ipv6}}) {
        if (program.starts_with(name) &&
            std::ranges::find(kinds, program.substr(name.size())) != kinds.end()) {
            return family;
        }
    }
    return std::nullopt;
}

void read_program(std::string_view program, CommandWordSpan words, size_t command,
                  ScriptFacts& facts, ImportLedger& ledger) {
    if (program == "ip") {
        read_ip(words, command, facts, ledger);
    } else if (program == "route") {
        read_old_route(words, command, facts, ledger);
    } else if (program == "ifconfig") {
        read_ifconfig(words, command, facts, ledger);
    } else if (const auto family = family_of_iptables(program)) {
        read_packet_command(words, *family, command, facts, ledger);
    } else if (program == "sysctl") {
        read_sysctl(words, command, ledger);
    } else if (program == "modprobe" || program == "insmod") {
        read_module(words, command, facts, ledger);
    } else if (program == "ifup" || program == "ifdown" || program == "dhclient" ||
               program == "dhcpcd" || program == "pppd" || program == "pon") {
        ledger.left(command, "linkbal does not bring up interfaces: leave that to the system");
    }
}

// The same table may be called by its number and by its name.
void name_tables(ScriptFacts& facts) {
    std::map<std::string, std::string> names{{"254", "main"}};
    for (const auto& [name, number] : facts.table_numbers) {
        names.try_emplace(fmt::format("{}", number), name);
    }
    const auto rename = [&](std::string& table) {
        const auto found = names.find(table);
        table = found == names.end() ? table : found->second;
    };
    std::ranges::for_each(facts.routes, rename, &ScriptRoute::table);
    std::ranges::for_each(facts.rules, rename, &ScriptRule::table);
}

void read_shell_command(const ShellCommand& shell, ScriptFacts& facts, ImportLedger& ledger) {
    const size_t command = ledger.open(shell.line, shell.text);
    const auto words = command_words(shell);
    const auto program = words.empty() ? std::string_view() : program_name(words.front());
    if (shell.sets_only && shell.obstacle.empty()) {
        ledger.covered(command, "its value stands where it is used");
    } else if (!words.empty() && read_written(shell, words, command, facts, ledger)) {
        return;
    } else if (is_harmless(program) && shell.redirections.empty()) {
        ledger.covered(command, "it configures nothing");
    } else if (!shell.obstacle.empty()) {
        ledger.left(command, shell.obstacle);
        if (shell.text.find("tables") != std::string::npos &&
            shell.text.find("ACCEPT") == std::string::npos) {
            facts.unfollowed.push_back(shell.line);
        }
    } else if (!words.empty()) {
        read_program(program, words.subspan(1), command, facts, ledger);
    }
}

} // namespace

ScriptFacts read_facts(std::span<const ShellCommand> commands, ImportLedger& ledger) {
    ScriptFacts facts;
    for (const ShellCommand& command : commands.first(std::min(commands.size(), most_commands))) {
        read_shell_command(command, facts, ledger);
    }
    for (const ShellCommand& command : commands.subspan(std::min(commands.size(), most_commands))) {
        ledger.left(ledger.open(command.line, command.text),
                    fmt::format("more than {} commands are not read", most_commands));
    }
    name_tables(facts);
    return facts;
}

} // namespace linkbal
