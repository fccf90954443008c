// SPDX-License-Identifier: GPL-2.0-or-later
// What the choice of a way of forwarding needs to know of interfaces, beside what a link tells of itself.
#pragma once

#include <string>
#include <vector>

#include "core/facts.h"
#include "kernel/netlink.h"
#include "util/result.h"

namespace linkbal {

// Fills in qdiscs, the IPv6 MTU, XdpAbilities::redirects and receives, and the driver where XDP is
// missing.
Status read_link_details(NetlinkSocket& route_socket, std::vector<Interface>& interfaces);

// Whether frames may be redirected to the device by XDP, as it is now. True where the kernel does not
// tell (before 6.3).
Result<bool> receives_redirects(uint32_t ifindex);

} // namespace linkbal
