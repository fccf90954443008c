// SPDX-License-Identifier: GPL-2.0-or-later
// Interface names and indexes, one by one. if_nametoindex(3) says that there is no such interface
// where there is no descriptor left to ask with.
#pragma once

#include <cstdint>
#include <string>

#include "util/result.h"

namespace linkbal {

// 0 where there is no such interface.
Result<uint32_t> interface_index(const std::string& name);
// Empty where there is no such interface.
Result<std::string> interface_name(uint32_t index);

} // namespace linkbal
