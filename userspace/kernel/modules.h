// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel modules that nobody else asks for.
#pragma once

#include <string>

#include "util/result.h"

namespace linkbal {

// What translates the addresses that a helper's protocol carries. The kernel loads the helper itself
// when a rule names it, but not this, which other modules only look for. Where it is built in, or is
// none for this helper, nothing is done. `helper`: the kernel's name, "ftp".
Status load_nat_helper(const std::string& helper);

} // namespace linkbal
