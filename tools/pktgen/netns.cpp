// SPDX-License-Identifier: GPL-2.0-or-later
#include "netns.h"

#include <cerrno>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>

#include "util/fd.h"

namespace linkbal::pktgen {

Result<Port> Port::parse(const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
        return fail("'{}': expected NAMESPACE:DEVICE", text);
    }
    return Port{text.substr(0, colon), text.substr(colon + 1)};
}

Result<unsigned> enter(const Port& port) {
    const Fd netns(::open(("/run/netns/" + port.netns).c_str(), O_RDONLY | O_CLOEXEC));
    if (!netns || ::setns(netns.get(), CLONE_NEWNET) != 0) {
        return fail_errno(errno, "network namespace " + port.netns);
    }
    const unsigned ifindex = ::if_nametoindex(port.device.c_str());
    if (ifindex == 0) {
        return fail_errno(errno, "device " + port.device + " in " + port.netns);
    }
    return ifindex;
}

} // namespace linkbal::pktgen
