// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/open_connection.h"
#include "util/result.h"

namespace linkbal {

struct OpenConnections {
    std::map<uint32_t, std::string> uplinks; // names by id, of those that are configured
    std::vector<OpenConnection> connections;
};

// The connections of conntrack that have an uplink, or those of one uplink, by its name or, if it is
// configured no longer, its id. One pass over the kernel's table, which lives meanwhile: what begins
// or ends may or may not be there. Nothing where no datapath is loaded. Error: there is no such uplink,
// or the kernel could not be asked.
Result<OpenConnections> read_open_connections(const std::string& instance,
                                              const std::optional<std::string>& uplink);

} // namespace linkbal
