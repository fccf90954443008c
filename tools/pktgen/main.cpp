// SPDX-License-Identifier: GPL-2.0-or-later
// pktgen: sends frames through a gateway and counts them behind it. One run prints one JSON object;
// tools/bench makes rounds, ratios and tables of it.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "connections.h"
#include "frame.h"
#include "redirect.h"
#include "run.h"

namespace linkbal::pktgen {

namespace {

nlohmann::json number_or_null(std::optional<uint64_t> number) {
    return number ? nlohmann::json(*number) : nlohmann::json(nullptr);
}

nlohmann::json to_json(const CoreSample& core) {
    return {{"sent", core.sent},
            {"wall_ns", core.wall_ns},
            {"cpu_ns", core.effort.cpu_ns},
            {"instructions", number_or_null(core.effort.instructions)},
            {"cycles", number_or_null(core.effort.cycles)}};
}

// Lets who started this look at the gateway: says where it is, goes on after a line of input.
Status wait_for_line(const std::string& where) {
    fmt::print("{}\n", where);
    std::fflush(stdout);
    int character = 0;
    while ((character = std::getchar()) != '\n') {
        if (character == EOF) {
            return fail("nobody is there any more");
        }
    }
    return {};
}

Status print_run(const RunOptions& options) {
    const auto result = run(options);
    if (!result) {
        return tl::unexpected(result.error());
    }
    auto cores = nlohmann::json::array();
    for (const auto& core : result->cores) {
        cores.push_back(to_json(core));
    }
    const nlohmann::json json = {{"cores", cores},
                                 {"received", result->received},
                                 {"answers", result->answers},
                                 {"census",
                                  {{"flows", result->census.flows},
                                   {"missing", result->census.missing},
                                   {"repeated", result->census.repeated}}}};
    fmt::print("{}\n", json.dump());
    return {};
}

Status print_connections(const ConnectionsOptions& options) {
    const auto result = run_connections(options);
    if (!result) {
        return tl::unexpected(result.error());
    }
    auto json = to_json(result->core);
    json["closed"] = result->closed;
    json["next"] = result->next;
    fmt::print("{}\n", json.dump());
    return {};
}

struct RedirectOptions {
    std::string device;
    std::vector<std::string> far_ends;
};

Status start_redirect(const RedirectOptions& options) {
    std::vector<FarEnd> far_ends;
    for (const auto& text : options.far_ends) {
        auto far_end = FarEnd::parse(text);
        if (!far_end) {
            return tl::unexpected(far_end.error());
        }
        far_ends.push_back(std::move(*far_end));
    }
    return Port::parse(options.device).and_then([&](const Port& p) {
        return redirect(p, far_ends);
    });
}

void add_run(CLI::App& app, RunOptions& options) {
    app.add_flag_callback(
        "--paced", [&] { options.pause = wait_for_line; },
        "print 'ready' before the measured time and 'measured' after it; each waits for a line");
    app.add_option("--generator", options.generator, "NAMESPACE:DEVICE that sends")->required();
    app.add_option("--receiver", options.receivers, "NAMESPACE:DEVICE that counts and drops")
        ->required();
    app.add_option("--flows", options.flows, "connections")
        ->check(CLI::Range(1u, PKTGEN_MAX_FLOWS));
    app.add_option("--cpus", options.cpus, "CPUs that generate, forward and receive")
        ->delimiter(',');
    app.add_flag("--ipv6", options.ipv6, "IPv6 instead of IPv4");
    app.add_flag("--answered", options.answered, "first have every flow answered");
    app.add_option("--seconds", options.seconds, "measured time");
    app.add_option("--warm-up", options.warm_up, "time before that, not measured");
}

void add_connections(CLI::App& app, ConnectionsOptions& options) {
    app.add_option("--client", options.client, "NAMESPACE:DEVICE that connects")->required();
    app.add_option("--server", options.servers, "NAMESPACE:DEVICE that answers")->required();
    app.add_option("--cpu", options.cpu, "the CPU of client, gateway and server");
    app.add_option("--first", options.first, "number of the first connection");
    app.add_option("--seconds", options.seconds, "measured time");
    app.add_option("--warm-up", options.warm_up, "time before that, not measured");
}

void add_redirect(CLI::App& app, RedirectOptions& options) {
    app.add_option("device", options.device, "NAMESPACE:DEVICE that receives")->required();
    app.add_option("--to", options.far_ends, "DEVICE,MAC to send to; two of them")->required();
}

} // namespace

} // namespace linkbal::pktgen

int main(int argc, char** argv) {
    using namespace linkbal;

    CLI::App app{"Sends frames through a gateway and counts them behind it."};
    app.require_subcommand(1);
    pktgen::RunOptions run;
    auto& packets = *app.add_subcommand("packets", "small UDP packets of many connections");
    pktgen::add_run(packets, run);
    pktgen::ConnectionsOptions connections;
    auto& tcp = *app.add_subcommand("connections", "short TCP connections");
    pktgen::add_connections(tcp, connections);
    pktgen::RedirectOptions redirect;
    auto& limit = *app.add_subcommand("redirect", "attach what sends every packet on");
    pktgen::add_redirect(limit, redirect);
    CLI11_PARSE(app, argc, argv);

    const Status status = limit.parsed() ? pktgen::start_redirect(redirect)
                          : tcp.parsed() ? pktgen::print_connections(connections)
                                         : pktgen::print_run(run);
    if (!status) {
        fmt::print(stderr, "pktgen: {}\n", status.error().message);
        return 1;
    }
    return 0;
}
