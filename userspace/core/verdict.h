// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

namespace linkbal {

enum class Verdict : uint8_t { unknown, good, bad };

} // namespace linkbal
