// SPDX-License-Identifier: GPL-2.0-or-later
// Judges [firewall] and [[forward]].
#pragma once

#include "core/config_findings.h"

namespace linkbal {

// Against themselves and the rest of the file: part of check_config().
void check_firewall(const Config& config, Findings& findings);

// Against the subnets of the LAN's interfaces, where these are what the LAN is, and the addresses of
// this machine: part of check_system().
void check_firewall_here(const Config& config, const Facts& facts, Findings& findings);

} // namespace linkbal
