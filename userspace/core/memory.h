// SPDX-License-Identifier: GPL-2.0-or-later
// What must outlive the process: kept below /run by kernel/run_state.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace linkbal {

// An uplink keeps its id and its table as long as it is configured: conntrack entries carry the id.
struct RememberedUplink {
    std::string name;
    std::string interface;
    uint32_t id = 0;
    uint32_t table = 0;
    uint32_t weight = 0;
    bool operator==(const RememberedUplink&) const = default;
};

struct Memory {
    uint64_t network_namespace = 0; // inode number; 0: nothing has been applied yet
    std::vector<RememberedUplink> uplinks;
    uint32_t balance_table = 0; // 0: not chosen yet
    // What each sysctl was before the first `up`, by its path below /proc/sys.
    std::map<std::string, std::string> sysctls;
    bool mounted_bpffs = false; // by us, so `down` unmounts it if nobody else uses it
    bool operator==(const Memory&) const = default;
};

} // namespace linkbal
