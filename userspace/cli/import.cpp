// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/import.h"

#include "cli/report.h"
#include "core/config_file.h"
#include "util/file.h"

namespace linkbal {

namespace {

std::string_view fate_word(Fate fate) {
    switch (fate) {
    case Fate::covered:
        return "covered";
    case Fate::taken:
        return "taken over";
    case Fate::differs:
        return "taken over, but differs";
    case Fate::left:
        return "not taken over";
    }
    return "";
}

void report_commands(const ImportResult& result, const std::string& file) {
    for (const ImportedCommand& command : result.commands) {
        print_to(stderr, "{}:{}: {}: {}\n", file, command.line, fate_word(command.fate),
                 fmt::format("{}", fmt::join(command.remarks, "; ")));
    }
}

} // namespace

void add_import_options(CLI::App& app, Options& options) {
    app.add_option("FILE", options.script, "a shell script of ip and iptables commands")
        ->required();
}

int run_import(const Options& options) {
    const auto script = read_file(options.script);
    if (!script || script->size() > longest_script) {
        report(script ? Error{fmt::format("import {}: longer than {} bytes", options.script,
                                          longest_script),
                              0}
                      : script.error());
        return exit_failed;
    }
    const ImportResult result = import_script(*script);
    if (options.verbosity > 0) {
        report_commands(result, options.script);
    }
    if (!result.found()) {
        print_to(stderr,
                 "linkbal: {}: no links to be balanced found; -v says what has become of each "
                 "command\n",
                 options.script);
        return exit_usage;
    }
    const std::string text = import_toml(result, options.script);
    print("{}", text);
    print_to(stderr,
             "{}: {} commands: {} taken over, {} covered, {} taken over but different, {} not\n",
             options.script, result.commands.size(), result.count(Fate::taken),
             result.count(Fate::covered), result.count(Fate::differs), result.count(Fate::left));
    if (const auto config = accept_config(text, "its configuration"); !config) {
        report(config.error()); // as of a LAN that the script does not name
    }
    return exit_done;
}

} // namespace linkbal
