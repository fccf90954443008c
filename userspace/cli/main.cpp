// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <exception>
#include <string>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "cli/command.h"

namespace linkbal {

namespace {

constexpr std::array commands{
    Command{"check", "validate the configuration", add_check_options, run_check},
    Command{"plan", "print what `up` would change, in ip, nft and tc notation", add_json_option,
            run_plan},
    Command{"up", "apply the configuration; all of it or nothing", add_up_options, run_up},
    Command{"confirm", "keep what `up --confirm` has applied", nullptr, run_confirm},
    Command{"down", "remove everything; the system is as it was before the first `up`", nullptr,
            run_down},
    Command{"run", "`up`, then stay and keep it right: follow the links, probe them",
            add_run_options, run_run},
    Command{"uplink", "drain a link, resume it, or change its weight, at run time",
            add_uplink_options, run_uplink},
    Command{"status", "uplinks, their state and why, weights, shares, rates", add_status_options,
            run_status},
    Command{"flows", "open connections and their uplink", add_flows_options, run_flows},
    Command{"dhcp", "print the configuration of the LAN's DHCP server, or install it",
            add_dhcp_options, run_dhcp},
    Command{"import", "print the configuration that does what a script of iptables and ip does",
            add_import_options, run_import},
};

// It names a directory below /run and /sys/fs/bpf, a file and an nftables table.
std::string validate_instance(const std::string& name) {
    const bool good = !name.empty() && name.size() <= 31 && std::isalpha(name.front()) != 0 &&
                      std::ranges::all_of(name, [](unsigned char c) {
                          return std::isalnum(c) != 0 || c == '-' || c == '_';
                      });
    return good ? "" : "an instance is 1 to 31 letters, digits, - and _, and starts with a letter";
}

void set_up_log(int verbosity) {
    auto log = spdlog::stderr_color_st("linkbal");
    log->set_pattern("%v");
    log->set_level(verbosity == 0   ? spdlog::level::warn
                   : verbosity == 1 ? spdlog::level::info
                                    : spdlog::level::debug);
    spdlog::set_default_logger(log);
}

int run(int argc, char** argv) {
    CLI::App app("One connection out of several internet links.", "linkbal");
    Options options;
    app.add_option("--config", options.config, "configuration file")->capture_default_str();
    app.add_option("--instance", options.instance, "name of this instance")
        ->capture_default_str()
        ->check(validate_instance);
    app.add_flag("-v", options.verbosity, "say what is done; twice: and why");
    app.set_version_flag("--version", LINKBAL_VERSION);
    app.require_subcommand(1);
    int (*chosen)(const Options&) = nullptr;
    for (const Command& command : commands) {
        CLI::App* sub = app.add_subcommand(command.name, command.description);
        if (command.add_options != nullptr) {
            command.add_options(*sub, options);
        }
        sub->callback([&chosen, &command] { chosen = command.run; });
        sub->fallthrough(); // --config after the command, too
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_done : exit_usage;
    }
    set_up_log(options.verbosity);
    return chosen(options);
}

} // namespace

void add_json_option(CLI::App& app, Options& options) {
    app.add_flag("--json", options.json, "for programs");
}

} // namespace linkbal

// Errors are values here; what is thrown nevertheless (no memory) is said, not called an abort.
int main(int argc, char** argv) {
    try {
        return linkbal::run(argc, argv);
    } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "linkbal: %s\n", error.what());
    } catch (...) {
        (void)std::fputs("linkbal: unknown failure\n", stderr);
    }
    return linkbal::exit_failed;
}
