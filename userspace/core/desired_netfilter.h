// SPDX-License-Identifier: GPL-2.0-or-later
// The nftables part of the desired state: private to core/desired.cpp.
#pragma once

#include <vector>

#include "core/config.h"
#include "core/facts.h"
#include "core/netfilter_state.h"
#include "core/uplinks.h"

namespace linkbal {

// `lan`: the networks whose hosts are masqueraded. `resets`: the kernel can send them.
NetfilterState desired_netfilter(const Config& config, const Facts& facts,
                                 const std::vector<Uplink>& uplinks, std::vector<Prefix> lan,
                                 bool resets);

} // namespace linkbal
