// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace linkbal {

// Exit statuses that scripts rely on; a daemon tells them to the commands that it serves.
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2; // wrong usage or configuration: nothing was touched

} // namespace linkbal
