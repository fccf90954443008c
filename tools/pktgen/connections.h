// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "run.h"

namespace linkbal::pktgen {

struct ConnectionsOptions {
    std::string client;               // NAMESPACE:DEVICE
    std::vector<std::string> servers; // the same; all in one namespace
    int cpu = 0;
    uint32_t first = 0; // number of the first connection: no two of a run may be the same
    double seconds = 1;
    double warm_up = 0.1;
};

struct ConnectionsResult {
    CoreSample core;              // `sent` are the connections that were begun
    std::vector<uint64_t> closed; // by both ends, one element a server
    uint32_t next = 0;            // number of the first connection that has not been begun
};

// Opens, uses and closes connections through the gateway, one after the other.
[[nodiscard]] Result<ConnectionsResult> run_connections(const ConnectionsOptions& options);

} // namespace linkbal::pktgen
