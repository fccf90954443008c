// SPDX-License-Identifier: GPL-2.0-or-later
// What the commands of a script say, before it is asked what they mean together.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/import/rule.h"

namespace linkbal {

struct ScriptHop {
    std::optional<IpAddress> via;
    std::string device; // empty: not said
    uint32_t weight = 1;
};

struct ScriptRoute {
    size_t command = 0; // its number in the ledger
    Family family = Family::ipv4;
    std::string table = "main"; // a name or a number, as written
    Prefix destination = Prefix::any(Family::ipv4);
    std::vector<ScriptHop> hops; // at least one
    std::optional<IpAddress> source;
    uint32_t metric = 0;
};

struct ScriptRule {
    size_t command = 0;
    std::optional<Prefix> from;
    std::optional<uint32_t> mark;
    std::string table;
    bool others = false; // it asks for something else, too
};

struct ScriptAddress {
    std::string device;
    IpAddress address;
    Prefix subnet;
};

struct ScriptFacts {
    std::vector<ScriptRoute> routes;
    std::vector<ScriptRule> rules;
    std::vector<ScriptAddress> addresses;
    std::map<std::string, uint32_t> table_numbers;        // by name
    std::map<std::string, std::vector<uint16_t>> helpers; // ports; none: the usual one
    std::vector<PacketRule> packet_rules;                 // in their order within a chain
    std::map<std::string, ChainPolicy> policies;          // of table filter, by policy_key()
    std::vector<uint32_t> unfollowed; // lines of other packet rules, which may refuse something
};

} // namespace linkbal
