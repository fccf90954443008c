// SPDX-License-Identifier: GPL-2.0-or-later
// Processes that are killed in the middle of what they do.
#pragma once

#include <functional>

namespace linkbal::test {

// Runs `work` in a child process that is killed as it enters (even `stop`) or leaves (odd `stop`)
// its stop/2-th system call. False if it was done before that.
bool killed_at(int stop, const std::function<void()>& work);

} // namespace linkbal::test
