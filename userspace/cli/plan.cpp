// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/report.h"

#include <nlohmann/json.hpp>

namespace linkbal {

namespace {

void print_for_people(const Preparation& preparation) {
    if (preparation.plan.empty()) {
        print("nothing to do\n");
    }
    for (const Action& action : preparation.plan) {
        for (const std::string& line : action_notation(action, preparation.notation)) {
            print("{}\n", line);
        }
    }
}

// [["ip -4 route add ..."], ["nft -f - <<EOF", ..., "EOF"], ...]: an array of lines an action.
void print_for_programs(const Preparation& preparation) {
    auto actions = nlohmann::json::array();
    for (const Action& action : preparation.plan) {
        actions.push_back(action_notation(action, preparation.notation));
    }
    print("{}\n", nlohmann::json{{"actions", actions}}.dump(2));
}

} // namespace

int run_plan(const Options& options) {
    const auto config = read_configuration(options);
    if (!config) {
        return exit_usage;
    }
    if (!is_allowed("linkbal plan")) {
        return exit_failed;
    }
    auto gateway = open_gateway(options);
    if (!gateway) {
        return exit_failed;
    }
    int status = exit_done;
    const auto preparation = prepare(*gateway, *config, options, status);
    if (preparation) {
        options.json ? print_for_programs(*preparation) : print_for_people(*preparation);
    }
    return status;
}

} // namespace linkbal
