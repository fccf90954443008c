// SPDX-License-Identifier: GPL-2.0-or-later
// What must outlive the process: kept below /run by kernel/instance.h.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/config.h"
#include "core/forwarding.h"
#include "util/result.h"

namespace linkbal {

// An uplink keeps its id and its table as long as it is configured: conntrack entries carry the id.
struct RememberedUplink {
    std::string name;
    std::string interface;
    uint32_t id = 0;
    uint32_t table = 0;
    uint32_t weight = 0;
    // By Family; what open connections need to go on when the uplink is no longer configured.
    std::array<std::optional<IpAddress>, 2> gateways{};
    bool retired = false;                     // no longer configured, kept for its open connections
    bool drained = false;                     // by a command
    bool brought_up = false;                  // by its commands
    std::optional<uint32_t> ordered_weight{}; // by a command, in place of configured_weight
    uint32_t configured_weight = 0;
    // By Family, when this was written: open connections could go on, new ones came.
    std::array<bool, 2> carried{}, served{};
    std::array<bool, 2> gateway_answers{}; // probes, that is: not every router does
    bool operator==(const RememberedUplink&) const = default;
};

// What was at work before a change that is not confirmed yet, and is to be at work again.
struct FormerGateway {
    ConfigSource source;
    std::vector<RememberedUplink> uplinks; // their ids, tables and orders
    uint32_t balance_table = 0;
    std::vector<std::string> sysctls; // those that had been changed by then
    bool operator==(const FormerGateway&) const = default;
};

// `linkbal up --confirm`: it goes back unless it is confirmed in time; core/confirmation.h.
struct Unconfirmed {
    std::chrono::milliseconds deadline{}; // of Clock, which begins with the machine, as /run does
    std::string text;                     // of the configuration that is on trial
    std::optional<FormerGateway> former;  // empty: there was nothing
    bool returning = false;               // the time is over, or somebody has given up
    bool operator==(const Unconfirmed&) const = default;
};

struct Memory {
    uint64_t network_namespace = 0; // inode number; 0: nothing has been applied yet
    std::vector<RememberedUplink> uplinks;
    uint32_t balance_table = 0;     // 0: not chosen yet
    std::array<bool, 2> families{}; // balanced ones
    // What each sysctl was before the first `up`, by its path below /proc/sys.
    std::map<std::string, std::string> sysctls;
    std::vector<DeviceForwarding> forwarding{}; // how devices forward and why, for `status`
    std::vector<RefusedXdp> refused_xdp{};
    bool mounted_bpffs = false;            // by us, so `down` unmounts it if nobody else uses it
    std::optional<ConfigSource> applied{}; // by the last `up`; empty: by a version that kept none
    std::optional<Unconfirmed> unconfirmed{};
    std::string rejected{}; // the text that nobody has confirmed, the last time that it went back
    bool operator==(const Memory&) const = default;
};

// As JSON, for the file that keeps it. Reading fails on anything that printing did not write.
std::string print_memory(const Memory& memory);
Result<Memory> parse_memory(const std::string& text);

} // namespace linkbal
