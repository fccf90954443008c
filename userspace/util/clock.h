// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>

namespace linkbal {

// Every moment that is compared with another one: never goes back.
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

} // namespace linkbal
