// SPDX-License-Identifier: GPL-2.0-or-later
// pktgen: sends small UDP frames through a gateway and counts them behind it. One run prints one
// JSON object; tools/bench makes rounds, ratios and tables of it.
#include <chrono>
#include <cstdio>
#include <thread>

#include <CLI/CLI.hpp>
#include <bpf/libbpf.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <unistd.h>

#include "frame.h"
#include "generator.h"
#include "perf.h"
#include "receiver.h"

namespace linkbal::pktgen {

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t frames_per_call = 64 * 256;
constexpr auto settle = std::chrono::milliseconds(20); // what is still queued arrives meanwhile

struct Options {
    std::string generator;
    std::vector<std::string> receivers;
    uint32_t flows = 1000;
    int cpu = 0;
    double seconds = 1;
    double warm_up = 0.2;
};

struct Sample {
    uint64_t sent = 0;
    std::vector<uint64_t> received; // one element a receiver
    int64_t wall_ns = 0;
    Effort effort; // of these frames alone
};

struct Census {
    std::vector<uint64_t> flows; // distinct flows seen, one element a receiver
    uint64_t missing = 0;
    uint64_t repeated = 0; // flows that more than one receiver saw
};

Status pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    if (::sched_setaffinity(0, sizeof(set), &set) != 0) {
        return fail_errno(errno, fmt::format("moving to CPU {}", cpu));
    }
    return {};
}

std::vector<uint64_t> packets(const std::vector<Receiver>& receivers) {
    std::vector<uint64_t> counts;
    for (const auto& receiver : receivers) {
        counts.push_back(receiver.packets());
    }
    return counts;
}

std::optional<uint64_t> spent(std::optional<uint64_t> before, std::optional<uint64_t> after) {
    return before && after ? std::optional(*after - *before) : std::nullopt;
}

// Sends for a time, and at least one call of frames.
Result<Sample> measure(Generator& generator, const std::vector<Receiver>& receivers, double seconds,
                       int cpu) {
    Sample sample;
    const EffortCounter counter(cpu);
    const auto packets_before = packets(receivers);
    const auto duration = std::chrono::duration<double>(seconds);
    const Effort effort_before = counter.read();
    const auto start = Clock::now();
    auto now = start;
    do {
        if (auto status = generator.send(frames_per_call); !status) {
            return tl::unexpected(status.error());
        }
        sample.sent += frames_per_call;
        now = Clock::now();
    } while (now - start < duration);
    const Effort effort = counter.read();
    sample.wall_ns = std::chrono::nanoseconds(now - start).count();
    sample.effort = {spent(effort_before.instructions, effort.instructions),
                     spent(effort_before.cycles, effort.cycles),
                     effort.cpu_ns - effort_before.cpu_ns};
    std::this_thread::sleep_for(settle);
    sample.received = packets(receivers);
    for (size_t i = 0; i < sample.received.size(); ++i) {
        sample.received[i] -= packets_before[i];
    }
    return sample;
}

// Sends every flow once, slowly enough that no queue overflows, and notes who sees it.
Result<Census> take_census(Generator& generator, std::vector<Receiver>& receivers, uint32_t flows) {
    for (auto& receiver : receivers) {
        receiver.census(true);
    }
    if (auto status = generator.send(flows); !status) {
        return tl::unexpected(status.error());
    }
    std::this_thread::sleep_for(settle);
    std::vector<uint32_t> times_seen(flows);
    Census census;
    for (auto& receiver : receivers) {
        receiver.census(false);
        const auto seen = receiver.seen();
        if (!seen) {
            return tl::unexpected(seen.error());
        }
        uint64_t distinct = 0;
        for (uint32_t flow = 0; flow < flows; ++flow) {
            const bool here = (*seen)[flow] != 0;
            distinct += here;
            times_seen[flow] += here;
        }
        census.flows.push_back(distinct);
    }
    for (const uint32_t times : times_seen) {
        census.missing += times == 0;
        census.repeated += times > 1;
    }
    return census;
}

nlohmann::json number_or_null(std::optional<uint64_t> number) {
    return number ? nlohmann::json(*number) : nlohmann::json(nullptr);
}

void print(const Sample& sample, const Census& census) {
    const nlohmann::json json = {
        {"sent", sample.sent},
        {"received", sample.received},
        {"wall_ns", sample.wall_ns},
        {"cpu_ns", sample.effort.cpu_ns},
        {"instructions", number_or_null(sample.effort.instructions)},
        {"cycles", number_or_null(sample.effort.cycles)},
        {"census",
         {{"flows", census.flows}, {"missing", census.missing}, {"repeated", census.repeated}}}};
    fmt::print("{}\n", json.dump());
}

Status run(const Options& options) {
    if (auto status = pin_to(options.cpu); !status) {
        return status;
    }
    std::vector<Receiver> receivers;
    for (const auto& text : options.receivers) {
        auto receiver = Port::parse(text).and_then(
            [&](const Port& p) { return Receiver::create(p, options.flows); });
        if (!receiver) {
            return tl::unexpected(receiver.error());
        }
        receivers.push_back(std::move(*receiver));
    }
    const Traffic traffic{.source_mac = {0x02, 0, 0, 0, 0, 0x10},
                          .gateway_mac = {0x02, 0, 0, 0, 0, 0x01},
                          .source_network = 0xc0a80000,      // 192.168.0.0
                          .destination_network = 0xcb007100, // 203.0.113.0
                          .flows = options.flows};
    auto generator = Port::parse(options.generator).and_then([&](const Port& p) {
        return Generator::create(p, traffic);
    });
    if (!generator) {
        return tl::unexpected(generator.error());
    }
    // The first packet of each flow makes its conntrack entry; nothing of this is measured.
    const Result<Sample> warm_up = measure(*generator, receivers, options.warm_up, options.cpu);
    if (!warm_up) {
        return tl::unexpected(warm_up.error());
    }
    const Result<Sample> sample = measure(*generator, receivers, options.seconds, options.cpu);
    if (!sample) {
        return tl::unexpected(sample.error());
    }
    const Result<Census> census = take_census(*generator, receivers, options.flows);
    if (!census) {
        return tl::unexpected(census.error());
    }
    print(*sample, *census);
    return {};
}

} // namespace

} // namespace linkbal::pktgen

int main(int argc, char** argv) {
    using namespace linkbal;

    CLI::App app{"Sends small UDP frames through a gateway and counts them behind it."};
    pktgen::Options options;
    app.add_option("--generator", options.generator, "NAMESPACE:DEVICE that sends")->required();
    app.add_option("--receiver", options.receivers, "NAMESPACE:DEVICE that counts and drops")
        ->required();
    app.add_option("--flows", options.flows, "connections")
        ->check(CLI::Range(1u, PKTGEN_MAX_FLOWS));
    app.add_option("--cpu", options.cpu, "the CPU that generates, forwards and receives");
    app.add_option("--seconds", options.seconds, "measured time");
    app.add_option("--warm-up", options.warm_up, "time before that, not measured");
    CLI11_PARSE(app, argc, argv);

    if (const Status status = pktgen::run(options); !status) {
        fmt::print(stderr, "pktgen: {}\n", status.error().message);
        return 1;
    }
    return 0;
}
