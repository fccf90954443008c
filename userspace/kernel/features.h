// SPDX-License-Identifier: GPL-2.0-or-later
// What the datapath needs of the kernel and what it does without.
#pragma once

#include <string>
#include <vector>

#include "util/result.h"

namespace linkbal {

struct KernelFeatures {
    bool conntrack_lookup = false;  // bpf_skb_ct_lookup()
    bool conntrack_timeout = false; // bpf_ct_change_timeout()
    bool conntrack_barred = false;  // the kernel has it, and CAP_SYS_ADMIN is missing to use it
    bool tcx = false;
    bool prerouting_reject = false; // nftables can send resets from prerouting
};

// Fails with one line that names the feature and the kernel version that has it where the datapath
// can't do without. Loads the conntrack module if the kernel has it as one.
Result<KernelFeatures> probe_features();

// If the kernel has it as one.
void load_conntrack_module();

// One line for each optional feature that is missing: which, since when it exists, what is lost.
std::vector<std::string> missing_features(const KernelFeatures& features);

} // namespace linkbal
