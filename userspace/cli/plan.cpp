// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/report.h"
#include "cli/session_warning.h"

#include <nlohmann/json.hpp>

namespace linkbal {

namespace {

using Actions = std::vector<std::vector<std::string>>;

void print_for_people(const Actions& actions) {
    if (actions.empty()) {
        print("nothing to do\n");
    }
    for (const auto& action : actions) {
        print("{}\n", fmt::format("{}", fmt::join(action, "\n")));
    }
}

// [["ip -4 route add ..."], ["nft -f - <<EOF", ..., "EOF"], ...]: an array of lines an action.
void print_for_programs(const Actions& actions) {
    print("{}\n", nlohmann::json{{"actions", actions}}.dump(2));
}

// By what the running daemon knows of the links; empty: there is none.
std::optional<Actions> ask_for_plan(const Options& options, int& status) {
    const auto request = apply_request(options);
    const auto answer = request
                            ? ask(options, ApplyRequest{request->file, request->text, true}, status)
                            : std::nullopt;
    return answer ? std::optional(answer->actions) : std::nullopt;
}

std::optional<Actions> make_plan(const Options& options, const Config& config, int& status) {
    auto gateway = open_gateway(options);
    if (!gateway) {
        status = exit_failed;
        return std::nullopt;
    }
    const auto preparation = prepare(*gateway, config, options, status);
    if (!preparation) {
        return std::nullopt;
    }
    Actions actions;
    for (const Action& action : preparation->plan) {
        actions.push_back(action_notation(action, preparation->notation));
    }
    return actions;
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
    warn_of_lockout(*config);
    int status = exit_done;
    auto actions = ask_for_plan(options, status);
    if (!actions && status == exit_done) {
        actions = make_plan(options, *config, status);
    }
    if (actions && status == exit_done) {
        options.json ? print_for_programs(*actions) : print_for_people(*actions);
    }
    return status;
}

} // namespace linkbal
