// SPDX-License-Identifier: GPL-2.0-or-later
// /sys/kernel/rcu_expedited of a test's own. Programs agree on the machine's by a file in /run: with a /run of
// our own, what another process has set for a while would be taken for the machine's value, and put back.
#pragma once

#include <fstream>

#include <sys/mount.h>
#include <unistd.h>

namespace linkbal::test {

inline constexpr auto rcu_knob = "/sys/kernel/rcu_expedited";

inline bool has_rcu_knob() { return access(rcu_knob, F_OK) == 0; }

// In the place of the machine's, at 0; to be called in a mount namespace with a /run of its own.
inline bool mount_own_rcu_knob() {
    constexpr auto own = "/run/own_rcu_expedited";
    std::ofstream(own) << "0\n";
    return mount(own, rcu_knob, nullptr, MS_BIND, nullptr) == 0;
}

} // namespace linkbal::test
