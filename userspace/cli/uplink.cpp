// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>

#include "cli/interrupts.h"
#include "cli/trial.h"

namespace linkbal {

namespace {

using Order = UplinkRequest::Order;

constexpr std::array orders{std::pair{"drain", Order::drain}, std::pair{"resume", Order::resume},
                            std::pair{"weight", Order::weight}};

// What the words ask for; empty after an error has been reported.
std::optional<UplinkRequest> request_of(const Options& options) {
    const auto* found = std::ranges::find(orders, options.order,
                                          [](const auto& one) { return std::string(one.first); });
    const bool weighs = options.order == "weight";
    if (found == orders.end() || weighs != (options.weight != 0)) {
        print_to(stderr, "linkbal: expected `uplink NAME drain`, `uplink NAME resume` or `uplink "
                         "NAME weight N` with N from 1 to 1000\n");
        return std::nullopt;
    }
    return UplinkRequest{options.uplink, found->second, options.weight};
}

Conditions conditions_of(const UplinkRequest& request) {
    Conditions conditions;
    UplinkCondition& uplink = conditions.uplinks[request.uplink];
    order(uplink, request);
    return conditions;
}

int change_directly(const Options& options, const Config& config, const UplinkRequest& request) {
    auto change = begin_change("linkbal uplink", options);
    if (!change) {
        return exit_failed;
    }
    if (!clear_of_trials(change->gateway)) {
        return exit_failed;
    }
    const auto seen = change->gateway.observe_now();
    if (!seen) {
        report(seen.error());
        return exit_failed;
    }
    int status = exit_done;
    const auto preparation = accepted(
        change->gateway.prepare(config, options.config, *seen, conditions_of(request)), status);
    if (!preparation) {
        return status;
    }
    if (const auto applied = change->gateway.apply(*preparation, show_progress); !applied) {
        report(applied.error());
        return exit_failed;
    }
    return exit_done;
}

} // namespace

void add_uplink_options(CLI::App& app, Options& options) {
    app.add_option("NAME", options.uplink, "of the uplink")->required();
    app.add_option("ORDER", options.order,
                   "drain: no new connections; resume: as configured; weight N: another weight")
        ->required();
    app.add_option("N", options.weight, "of weight")->check(CLI::Range(1, 1000));
}

int run_uplink(const Options& options) {
    const auto request = request_of(options);
    if (!request) {
        return exit_usage;
    }
    const InterruptsHeld held;
    if (!is_allowed("linkbal uplink")) {
        return exit_failed;
    }
    if (const auto done = through_daemon(options, *request)) {
        return *done;
    }
    const auto config = read_configuration(options);
    if (!config) {
        return exit_usage;
    }
    if (std::ranges::find(config->uplinks, request->uplink, &UplinkConfig::name) ==
        config->uplinks.end()) {
        print_to(stderr, "linkbal: there is no uplink {}\n", request->uplink);
        return exit_usage;
    }
    return change_directly(options, *config, *request);
}

} // namespace linkbal
