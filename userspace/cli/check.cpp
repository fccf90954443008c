// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/report.h"
#include "cli/session_warning.h"

#include <linux/netlink.h>

#include "core/config_check.h"
#include "kernel/facts_reader.h"

namespace linkbal {

void add_check_options(CLI::App& app, Options& options) {
    app.add_flag("--system", options.system,
                 "also against this machine: interfaces, addresses, rules and tables in use");
}

int run_check(const Options& options) {
    const auto config = read_configuration(options);
    if (!config) {
        return exit_usage;
    }
    if (options.system) {
        auto socket = NetlinkSocket::open(NETLINK_ROUTE);
        const auto seen = socket ? observe(*socket, options.instance)
                                 : Result<Observation>(tl::unexpected(socket.error()));
        if (!seen) {
            report(seen.error());
            return exit_failed;
        }
        const auto mistakes = check_system(*config, seen->facts, options.config);
        if (!mistakes.empty()) {
            report(mistakes);
            return exit_usage;
        }
        warn_of_lockout(*config, seen->facts);
    }
    print("{}: good, {} uplinks\n", options.config, config->uplinks.size());
    return exit_done;
}

} // namespace linkbal
