// SPDX-License-Identifier: GPL-2.0-or-later
#include "run.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>
#include <thread>

#include "generator.h"
#include "receiver.h"

namespace linkbal::pktgen {

namespace {

/*
 * Before and after each call the kernel changes its XDP dispatcher: under a mutex of the whole machine it
 * waits for what runs on all CPUs (synchronize_rcu() in kernel/bpf/dispatcher.c), some milliseconds. Calls
 * of several CPUs would stand in line for it, so the measured time has as few as can be ended in time.
 */
constexpr uint32_t frames_per_first_call = 64 * 64;
constexpr double calls = 2;
constexpr auto settle = std::chrono::milliseconds(20); // what is still queued arrives meanwhile

/*
 * The first packet of a flow makes its conntrack entry, its answer makes that one a connection of
 * two, the second packet is the first that a fast path may learn from. What follows finds it learned.
 */
constexpr int answered_passes = 2;
constexpr int most_passes = 20;

class Run {
  public:
    explicit Run(const RunOptions& options) : options_(options) {}

    Status prepare();
    Status warm_up();
    Result<std::vector<CoreSample>> send_on_all(double seconds);
    Result<Census> take_census();

    [[nodiscard]] std::vector<uint64_t> received() const;
    [[nodiscard]] uint64_t answers() const { return sink_->packets(); }

  private:
    Status add_receiver(const std::string& port);
    Status on_all(const std::function<Status(size_t)>& work);
    Status send_each_flow();
    Status answer_all();
    Result<CoreSample> send_part(size_t i, uint32_t frames_per_call, double seconds);

    const RunOptions& options_;
    std::vector<Receiver> receivers_;
    std::optional<Receiver> sink_; // of the answers
    std::vector<Generator> generators_;
    std::vector<double> rates_; // of each, in frames a second
};

Status Run::add_receiver(const std::string& port) {
    auto receiver = Port::parse(port).and_then(
        [&](const Port& p) { return Receiver::create(p, options_.flows); });
    if (!receiver) {
        return tl::unexpected(receiver.error());
    }
    receivers_.push_back(std::move(*receiver));
    return {};
}

Status Run::prepare() {
    for (const auto& text : options_.receivers) {
        if (auto status = add_receiver(text); !status) {
            return status;
        }
    }
    const auto port = Port::parse(options_.generator);
    if (!port) {
        return tl::unexpected(port.error());
    }
    auto sink = Receiver::create(*port, 1);
    if (!sink) {
        return tl::unexpected(sink.error());
    }
    sink_.emplace(std::move(*sink));
    const auto parts = static_cast<uint32_t>(options_.cpus.size());
    if (parts == 0 || options_.flows < parts) {
        return fail("{} flows can't be divided among {} CPUs", options_.flows, parts);
    }
    for (uint32_t part = 0; part < parts; ++part) {
        const auto first = static_cast<uint32_t>(uint64_t{options_.flows} * part / parts);
        const auto end = static_cast<uint32_t>(uint64_t{options_.flows} * (part + 1) / parts);
        auto generator = Generator::create(
            *port, {.ipv6 = options_.ipv6, .first_flow = first, .flows = end - first});
        if (!generator) {
            return tl::unexpected(generator.error());
        }
        generators_.push_back(std::move(*generator));
    }
    return {};
}

// Runs work(i) on the i-th CPU, all at a time; a new thread is in its creator's namespace.
Status Run::on_all(const std::function<Status(size_t)>& work) {
    std::vector<Status> results(options_.cpus.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < results.size(); ++i) {
        threads.emplace_back(
            [&, i] { results[i] = pin_to(options_.cpus[i]).and_then([&] { return work(i); }); });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    for (auto& result : results) {
        if (!result) {
            return result;
        }
    }
    return {};
}

Result<CoreSample> Run::send_part(size_t i, uint32_t frames_per_call, double seconds) {
    return send_for([&](uint32_t frames) { return generators_[i].send(frames); }, frames_per_call,
                    options_.cpus[i], seconds);
}

Status Run::send_each_flow() {
    auto status = on_all([&](size_t i) { return generators_[i].send(generators_[i].flows()); });
    std::this_thread::sleep_for(settle);
    return status;
}

// Until every flow has been sent and answered several times without a loss.
Status Run::answer_all() {
    const auto total = [](const std::vector<uint64_t>& counts) {
        return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
    };
    for (auto& receiver : receivers_) {
        receiver.answer(true);
    }
    int complete = 0;
    int passes = 0;
    uint64_t arrived = 0;
    uint64_t answered = 0;
    for (; complete < answered_passes && passes < most_passes; ++passes) {
        const uint64_t arrived_before = total(received());
        const uint64_t answered_before = answers();
        if (auto status = send_each_flow(); !status) {
            return status;
        }
        arrived = total(received()) - arrived_before;
        answered = answers() - answered_before;
        complete += arrived >= options_.flows && answered >= options_.flows;
    }
    for (auto& receiver : receivers_) {
        receiver.answer(false);
    }
    if (complete < answered_passes) {
        return fail("of {} flows, {} arrived and {} answers came back, in the last of {} passes",
                    options_.flows, arrived, answered, passes);
    }
    return {};
}

Status Run::warm_up() {
    if (options_.answered) {
        if (auto status = answer_all(); !status) {
            return status;
        }
    }
    // Leases and routes that have ended since the last run are renewed by a packet of each flow.
    if (auto status = send_each_flow(); !status) {
        return status;
    }
    rates_.resize(generators_.size());
    return on_all([&](size_t i) -> Status {
        auto sample = send_part(i, frames_per_first_call, options_.warm_up);
        if (!sample) {
            return tl::unexpected(sample.error());
        }
        const auto cpu_ns =
            static_cast<double>(sample->effort.cpu_ns); // 0: the machine does not say
        const auto busy = cpu_ns > 0 ? cpu_ns : static_cast<double>(sample->wall_ns);
        rates_[i] = static_cast<double>(sample->sent) / busy * 1e9;
        return {};
    });
}

Result<std::vector<CoreSample>> Run::send_on_all(double seconds) {
    std::vector<CoreSample> samples(generators_.size());
    auto status = on_all([&](size_t i) -> Status {
        const auto frames = static_cast<uint32_t>(rates_[i] * seconds / calls);
        auto sample = send_part(i, std::max(frames, frames_per_first_call), seconds);
        if (!sample) {
            return tl::unexpected(sample.error());
        }
        samples[i] = *sample;
        return {};
    });
    std::this_thread::sleep_for(settle);
    if (!status) {
        return tl::unexpected(status.error());
    }
    return samples;
}

// Sends every flow once, slowly enough that no queue overflows, and notes who sees it.
Result<Census> Run::take_census() {
    for (auto& receiver : receivers_) {
        receiver.census(true);
    }
    if (auto status = send_each_flow(); !status) {
        return tl::unexpected(status.error());
    }
    std::vector<uint32_t> times_seen(options_.flows);
    Census census;
    for (auto& receiver : receivers_) {
        receiver.census(false);
        const auto seen = receiver.seen();
        if (!seen) {
            return tl::unexpected(seen.error());
        }
        uint64_t distinct = 0;
        for (uint32_t flow = 0; flow < options_.flows; ++flow) {
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

std::vector<uint64_t> Run::received() const {
    std::vector<uint64_t> counts;
    for (const auto& receiver : receivers_) {
        counts.push_back(receiver.packets());
    }
    return counts;
}

} // namespace

Result<RunResult> run(const RunOptions& options) {
    Run run(options);
    const auto pause = [&](const char* where) {
        return options.pause ? options.pause(where) : Status{};
    };
    const auto ready = run.prepare().and_then([&] { return run.warm_up(); }).and_then([&] {
        return pause("ready");
    });
    if (!ready) {
        return tl::unexpected(ready.error());
    }
    RunResult result;
    result.answers = run.answers();
    const auto before = run.received();
    auto cores = run.send_on_all(options.seconds);
    if (!cores) {
        return tl::unexpected(cores.error());
    }
    result.cores = std::move(*cores);
    result.received = run.received();
    for (size_t i = 0; i < before.size(); ++i) {
        result.received[i] -= before[i];
    }
    auto census = pause("measured").and_then([&] { return run.take_census(); });
    if (!census) {
        return tl::unexpected(census.error());
    }
    result.census = std::move(*census);
    return result;
}

} // namespace linkbal::pktgen
