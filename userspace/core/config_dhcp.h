// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [dhcp].
#pragma once

#include "core/toml_reader.h"

namespace linkbal {

[[nodiscard]] DhcpConfig read_dhcp(TableReader& table);

} // namespace linkbal
