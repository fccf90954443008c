// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace linkbal::test {

// Somebody else's XDP program, which passes everything, attached as `ip link set xdpdrv` does it.
void attach_foreign(const std::string& device);

} // namespace linkbal::test
