// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/report.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/confirmation.h"
#include "daemon/control_client.h"
#include "kernel/status_reader.h"

namespace linkbal {

namespace {

using nlohmann::json;

json to_json(const Traffic& traffic, double rate) {
    return {{"packets", traffic.packets}, {"bytes", traffic.bytes}, {"bits_per_second", rate}};
}

json milliseconds(const std::optional<std::chrono::microseconds>& duration) {
    return duration ? json(std::chrono::duration<double, std::milli>(*duration).count())
                    : json(nullptr);
}

json to_json(const std::optional<Judgement>& judgement) {
    if (!judgement) {
        return nullptr;
    }
    return {{"verdict", verdict_name(judgement->verdict)},
            {"reason", judgement->reason},
            {"latency_ms", milliseconds(judgement->latency)},
            {"jitter_ms", milliseconds(judgement->jitter)},
            {"loss", judgement->loss ? json(*judgement->loss) : json(nullptr)}};
}

json to_json(const UplinkStatus& uplink) {
    return {{"name", uplink.name},
            {"interface", uplink.interface},
            {"table", uplink.table},
            {"weight", uplink.weight},
            {"state", uplink_state_name(uplink.state)},
            {"reason", uplink.reason},
            {"health", {{"ipv4", to_json(uplink.health[0])}, {"ipv6", to_json(uplink.health[1])}}},
            {"share", {{"ipv4", uplink.share[0]}, {"ipv6", uplink.share[1]}}},
            {"connections_total", uplink.connections_total},
            {"connections", uplink.connections},
            {"tx", to_json(uplink.tx, uplink.tx_rate)},
            {"rx", to_json(uplink.rx, uplink.rx_rate)}};
}

json to_json(const std::vector<VerdictStatus>& counters) {
    json document = json::object();
    for (const VerdictStatus& counter : counters) {
        document[counter.name] = {{"packets", counter.packets}, {"bytes", counter.bytes}};
    }
    return document;
}

json to_json(const FastPathStatus& cache) {
    return {{"flows", cache.flows},
            {"hits", cache.hits},
            {"misses", cache.misses},
            {"full", cache.full},
            {"capacity", cache.capacity},
            {"memory", cache.memory},
            {"reasons", to_json(cache.reasons)}};
}

json to_json(const DeviceForwarding& device) {
    return {{"interface", device.device},
            {"forwarding", forwarding_name(device.forwarding)},
            {"reason", device.reason}};
}

json to_json(const std::optional<TrialStatus>& trial) {
    return trial ? json{{"seconds_left", trial->left.count()}, {"waits", trial->waits}}
                 : json(nullptr);
}

void print_for_programs(const GatewayStatus& status) {
    json document{{"datapath", status.datapath},
                  {"daemon", status.daemon},
                  {"confirm", to_json(status.trial)},
                  {"uplinks", json::array()},
                  {"devices", json::array()},
                  {"fastpath", to_json(status.fast_path)},
                  {"verdicts", to_json(status.verdicts)}};
    for (const UplinkStatus& uplink : status.uplinks) {
        document["uplinks"].push_back(to_json(uplink));
    }
    for (const DeviceForwarding& device : status.devices) {
        document["devices"].push_back(to_json(device));
    }
    print("{}\n", document.dump(2));
}

// "12.3 Mbit/s"
std::string rate_text(double bits_per_second) {
    constexpr std::array units{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"};
    size_t unit = 0;
    while (bits_per_second >= 1000 && unit + 1 < units.size()) {
        bits_per_second /= 1000;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", bits_per_second, unit == 0 ? 0 : 1, units.at(unit));
}

std::string share_text(const UplinkStatus& uplink) {
    return fmt::format("{:.1f}/{:.1f} %", uplink.share[0] * 100, uplink.share[1] * 100);
}

void print_counters(std::string_view title, const std::vector<VerdictStatus>& verdicts) {
    constexpr auto row = "{:<15} {:>15} {:>15}\n";
    print("\n");
    print(row, title, "packets", "bytes");
    for (const VerdictStatus& verdict : verdicts) {
        print(row, verdict.name, verdict.packets, verdict.bytes);
    }
}

void print_devices(const GatewayStatus& status) {
    if (status.devices.empty()) {
        return;
    }
    constexpr auto row = "{:<15} {:<10} {}\n";
    print("\n");
    print(row, "interface", "forwards", "why");
    for (const DeviceForwarding& device : status.devices) {
        print(row, device.device, forwarding_name(device.forwarding), device.reason);
    }
}

void print_cache(const FastPathStatus& cache) {
    if (cache.capacity != 0) {
        print("cache     {} of {} flows in {:.1f} MB, {} hits, {} misses{}\n", cache.flows,
              cache.capacity, static_cast<double>(cache.memory) / 1e6, cache.hits, cache.misses,
              cache.full != 0 ? fmt::format(", {} found no place", cache.full) : "");
    }
}

std::string trial_text(const TrialStatus& trial) {
    return trial.waits ? fmt::format("waited for: in {} s all is as before again, unless `linkbal "
                                     "confirm` is run",
                                     trial.left.count())
                       : "missing, and nobody waits for it any more: the next command that changes "
                         "something goes back";
}

void print_for_people(const GatewayStatus& status, bool verdicts) {
    print("datapath  {}\n", status.datapath);
    print("daemon    {}\n", status.daemon ? "runs" : "does not run: nobody watches the links");
    if (status.trial) {
        print("confirm   {}\n", trial_text(*status.trial));
    }
    print_cache(status.fast_path);
    if (status.uplinks.empty()) {
        return;
    }
    constexpr auto row = "{:<15} {:<15} {:<5} {:>6} {:>13} {:>9} {:>11} {:>13} {:>13}  {}\n";
    print("\n");
    print(row, "uplink", "interface", "state", "weight", "share v4/v6", "open", "total", "tx", "rx",
          "why");
    for (const UplinkStatus& uplink : status.uplinks) {
        print(row, uplink.name, uplink.interface, uplink_state_name(uplink.state), uplink.weight,
              share_text(uplink), uplink.connections, uplink.connections_total,
              rate_text(uplink.tx_rate), rate_text(uplink.rx_rate), uplink.reason);
    }
    print_devices(status);
    if (verdicts) {
        print_counters("verdict", status.verdicts);
        print_counters("fast path", status.fast_path.reasons);
    }
}

// What the running daemon knows better than anybody who only reads the kernel.
Status add_health(GatewayStatus& status, const std::string& instance) {
    const auto answer = ask_daemon(instance, StatusRequest{});
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    status.daemon = answer->has_value();
    for (const WatchedUplink& watched :
         status.daemon ? (*answer)->uplinks : std::vector<WatchedUplink>{}) {
        const auto uplink = std::ranges::find(status.uplinks, watched.name, &UplinkStatus::name);
        if (uplink != status.uplinks.end()) {
            uplink->state = watched.state;
            uplink->reason = watched.reason;
            uplink->health = watched.health;
        }
    }
    return {};
}

Status add_trial(GatewayStatus& status, const std::string& instance) {
    const auto memory = read_memory(instance);
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    if (memory->unconfirmed) {
        status.trial = {.left = time_left(*memory->unconfirmed, Clock::now()),
                        .waits = status.daemon || waiting_process(instance)};
    }
    return {};
}

} // namespace

void add_status_options(CLI::App& app, Options& options) {
    add_json_option(app, options);
    app.add_option("--interval", options.interval_ms,
                   "milliseconds over which rates are measured; 0: no rates")
        ->capture_default_str()
        ->check(CLI::Range(0, 60000));
}

int run_status(const Options& options) {
    if (!is_allowed("linkbal status")) {
        return exit_failed;
    }
    auto status = read_status(options.instance, std::chrono::milliseconds(options.interval_ms));
    if (!status) {
        report(status.error());
        return exit_failed;
    }
    auto added = add_health(*status, options.instance);
    if (added) {
        added = add_trial(*status, options.instance);
    }
    if (!added) {
        report(added.error());
        return exit_failed;
    }
    options.json ? print_for_programs(*status) : print_for_people(*status, options.verbosity > 0);
    return exit_done;
}

} // namespace linkbal
