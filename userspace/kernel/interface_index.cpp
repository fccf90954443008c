// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/interface_index.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "util/fd.h"

namespace linkbal {

namespace {

// False where there is no such interface.
Result<bool> ask(unsigned long request, ifreq& interface) {
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const bool found = socket && ioctl(socket.get(), request, &interface) == 0;
    if (!found && (!socket || errno != ENODEV)) {
        return fail_errno(errno, "looking for an interface");
    }
    return found;
}

} // namespace

Result<uint32_t> interface_index(const std::string& name) {
    ifreq interface{};
    if (name.empty() || name.size() >= std::size(interface.ifr_name)) {
        return 0;
    }
    std::ranges::copy(name, std::begin(interface.ifr_name));
    const auto found = ask(SIOCGIFINDEX, interface);
    if (!found) {
        return tl::unexpected(found.error().within(name));
    }
    return *found ? static_cast<uint32_t>(interface.ifr_ifindex) : 0;
}

Result<std::string> interface_name(uint32_t index) {
    ifreq interface{};
    interface.ifr_ifindex = static_cast<int>(index);
    const auto found = ask(SIOCGIFNAME, interface);
    if (!found) {
        return tl::unexpected(found.error());
    }
    return std::string(*found ? static_cast<const char*>(interface.ifr_name) : "");
}

} // namespace linkbal
