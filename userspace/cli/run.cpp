// SPDX-License-Identifier: GPL-2.0-or-later
#include <csignal>

#include <spdlog/spdlog.h>

#include "cli/report.h"
#include "daemon/daemon.h"
#include "daemon/log.h"

namespace linkbal {

void add_run_options(CLI::App& app, Options& options) {
    app.add_flag("--down-on-exit", options.down_on_exit,
                 "remove everything when it ends; without it the gateway goes on");
}

int run_run(const Options& options) {
    // Not through its own switch: what the links do is worth a line.
    if (options.verbosity == 0) {
        spdlog::default_logger()->set_level(spdlog::level::info);
    }
    set_up_daemon_log();
    std::signal(SIGPIPE, SIG_IGN);
    auto config = read_configuration(options);
    if (!config) {
        return exit_usage;
    }
    if (!is_allowed("linkbal run")) {
        return exit_failed;
    }
    auto gateway = open_gateway(options);
    if (!gateway) {
        return exit_failed;
    }
    Daemon daemon({.instance = options.instance,
                   .file = options.config,
                   .down_on_exit = options.down_on_exit},
                  *std::move(config), *std::move(gateway));
    const auto ended = daemon.run();
    return ended ? exit_done : report(ended.error());
}

} // namespace linkbal
