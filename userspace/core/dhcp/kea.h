// SPDX-License-Identifier: GPL-2.0-or-later
// [dhcp] in the JSON of Kea, which takes comments.
#pragma once

#include "core/dhcp/files.h"
#include "core/dhcp/lan.h"

namespace linkbal {

[[nodiscard]] DhcpFile kea4_file(const DhcpConfig& dhcp, const std::vector<DhcpSubnet>& subnets);

// For the modes "stateless" and "managed".
[[nodiscard]] DhcpFile kea6_file(const Config& config, const std::vector<DhcpSubnet>& subnets);

} // namespace linkbal
