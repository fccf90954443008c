// SPDX-License-Identifier: GPL-2.0-or-later
// Plans in the notation that administrators know: ip(8), nft(8), tc(8), sysctl(8).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/plan.h"

namespace linkbal {

// What notation needs to know beside the action itself.
struct NotationContext {
    std::string instance;                // names the nftables table and the pinned programs
    std::vector<TableName> table_names;  // numbers without a name are printed as numbers
    std::vector<DatapathUplink> uplinks; // for the shares of buckets
    std::string table_names_file;
};

// "default via 192.0.2.1 dev eth1 table velox1", as `ip route` prints and takes it.
std::string route_notation(const Route& route, const NotationContext& context);
// "fwmark 0x10000/0xff0000 lookup velox1", as `ip rule` takes it.
std::string rule_notation(const Rule& rule, const NotationContext& context);

// One command or more, a line each; what no such tool can do is a comment that says it in words.
std::vector<std::string> action_notation(const Action& action, const NotationContext& context);

} // namespace linkbal
