// SPDX-License-Identifier: GPL-2.0-or-later
#include "network_namespace.h"

#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

namespace linkbal::test {

NetworkNamespace NetworkNamespace::current() {
    return NetworkNamespace(Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)));
}

NetworkNamespace NetworkNamespace::make() {
    const NetworkNamespace home = current();
    if (unshare(CLONE_NEWNET) != 0) {
        std::abort(); // the caller is in one of its own already: it may
    }
    NetworkNamespace made = current();
    home.enter();
    return made;
}

std::string NetworkNamespace::path() const {
    return fmt::format("/proc/{}/fd/{}", getpid(), fd_.get());
}

// A thread in a namespace that is not its test's would change the machine's own network.
void NetworkNamespace::enter() const {
    if (setns(fd_.get(), CLONE_NEWNET) != 0) {
        std::abort();
    }
}

} // namespace linkbal::test
