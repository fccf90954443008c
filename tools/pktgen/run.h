// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "live.h"
#include "util/result.h"

namespace linkbal::pktgen {

struct RunOptions {
    std::string generator;              // NAMESPACE:DEVICE
    std::vector<std::string> receivers; // the same, of the uplinks' far ends
    std::vector<int> cpus = {0}; // each generates, forwards and receives its part of the flows
    uint32_t flows = 1000;
    bool ipv6 = false;
    bool answered = false; // before anything is measured, each flow is answered
    std::function<Status(const std::string&)> pause; // called before and after the measured time
    double seconds = 1;
    double warm_up = 0.1; // at least; and at least all flows
};

struct Census {
    std::vector<uint64_t> flows; // distinct flows seen, one element a receiver
    uint64_t missing = 0;
    uint64_t repeated = 0; // flows that more than one receiver saw
};

struct RunResult {
    std::vector<CoreSample> cores;
    std::vector<uint64_t> received; // one element a receiver
    uint64_t answers = 0;           // that came back to the generator's device before
    Census census;
};

// Sends through the gateway; leaves the calling thread in the generator's namespace.
[[nodiscard]] Result<RunResult> run(const RunOptions& options);

} // namespace linkbal::pktgen
