// SPDX-License-Identifier: GPL-2.0-or-later
// `linkbal dhcp --write`
#pragma once

#include <vector>

#include "core/dhcp/files.h"

namespace linkbal {

// Has each file checked by the program that is to read it, then puts those that differ in place, all
// of them or none. A file that is not our work is an error. Says what became of each; returns the exit
// status.
int write_dhcp_files(const std::vector<DhcpFile>& files);

} // namespace linkbal
