// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/netlink.h>

#include "cli/dhcp_write.h"
#include "cli/interrupts.h"
#include "cli/report.h"
#include "core/config_check_dhcp.h"
#include "kernel/facts_reader.h"

namespace linkbal {

namespace {

// A heading for each where there are several, as head(1) and tail(1) print it.
void print_files(const std::vector<DhcpFile>& files) {
    for (const DhcpFile& file : files) {
        if (files.size() > 1) {
            print("==> {} <==\n", file.path);
        }
        print("{}", file.text);
    }
}

Result<Facts> read_facts(const Options& options) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    auto seen = observe(*socket, options.instance);
    return seen ? Result<Facts>(std::move(seen->facts)) : tl::unexpected(seen.error());
}

// Empty after errors have been reported, with the exit status in `status`.
std::vector<DhcpFile> make_files(const Options& options, const Config& config, int& status) {
    const auto facts = read_facts(options);
    if (!facts) {
        report(facts.error());
        status = exit_failed;
        return {};
    }
    const auto mistakes = check_dhcp_system(config, *facts, options.config);
    if (!mistakes.empty()) {
        report(mistakes);
        status = exit_usage;
        return {};
    }
    return dhcp_files(config, *facts);
}

} // namespace

void add_dhcp_options(CLI::App& app, Options& options) {
    app.add_flag("--write", options.write,
                 "have them checked by the servers themselves, and install them");
}

int run_dhcp(const Options& options) {
    const auto config = read_configuration(options);
    if (!config) {
        return exit_usage;
    }
    if (!config->dhcp) {
        print_to(stderr, "{}: no [dhcp] section: there is nothing to write\n", options.config);
        return exit_usage;
    }
    int status = exit_done;
    const auto files = make_files(options, *config, status);
    if (status != exit_done) {
        return status;
    }
    if (options.write) {
        const InterruptsHeld held;
        return write_dhcp_files(files);
    }
    print_files(files);
    return exit_done;
}

} // namespace linkbal
