// SPDX-License-Identifier: GPL-2.0-or-later
// The router advertisements of [dhcp.ipv6] in the words of radvd.conf(5), for Kea, which sends none.
#pragma once

#include "core/dhcp/files.h"

namespace linkbal {

// `config` has [dhcp.ipv6].
[[nodiscard]] DhcpFile radvd_file(const Config& config);

} // namespace linkbal
