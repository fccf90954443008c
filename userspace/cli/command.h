// SPDX-License-Identifier: GPL-2.0-or-later
// One file a command; the table of them is in main.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <CLI/App.hpp>

#include "core/exit_status.h"

namespace linkbal {

struct Options {
    std::string config = "/etc/linkbal/linkbal.toml";
    std::string instance = "linkbal";
    int verbosity = 0;
    bool json = false;
    bool system = false;       // check: against this machine too
    int interval_ms = 200;     // status: over which rates are measured
    bool down_on_exit = false; // run: leave nothing behind
    bool write = false;        // dhcp: install what it would print
    std::string uplink;        // uplink and flows: its name
    std::string order;         // uplink: what is asked for, and of "weight" how much
    uint32_t weight = 0;
    std::string script;   // import: its file
    uint32_t confirm = 0; // up: seconds to confirm it in; 0: it stays
};

struct Command {
    const char* name;
    const char* description;
    void (*add_options)(CLI::App& app, Options& options); // nullptr: none of its own
    int (*run)(const Options& options);
};

void add_json_option(CLI::App& app, Options& options);
void add_check_options(CLI::App& app, Options& options);
void add_dhcp_options(CLI::App& app, Options& options);
void add_flows_options(CLI::App& app, Options& options);
void add_import_options(CLI::App& app, Options& options);
void add_run_options(CLI::App& app, Options& options);
void add_status_options(CLI::App& app, Options& options);
void add_up_options(CLI::App& app, Options& options);
void add_uplink_options(CLI::App& app, Options& options);

int run_check(const Options& options);
int run_plan(const Options& options);
int run_up(const Options& options);
int run_confirm(const Options& options);
int run_down(const Options& options);
int run_run(const Options& options);
int run_status(const Options& options);
int run_flows(const Options& options);
int run_import(const Options& options);
int run_uplink(const Options& options);
int run_dhcp(const Options& options);

} // namespace linkbal
