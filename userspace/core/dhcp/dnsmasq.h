// SPDX-License-Identifier: GPL-2.0-or-later
// [dhcp] in the words of dnsmasq(8).
#pragma once

#include "core/dhcp/files.h"
#include "core/dhcp/lan.h"

namespace linkbal {

[[nodiscard]] DhcpFile dnsmasq_file(const Config& config, const std::vector<DhcpSubnet>& subnets);

} // namespace linkbal
