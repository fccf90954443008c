// SPDX-License-Identifier: GPL-2.0-or-later
// What ARP and neighbour discovery have found out about addresses on a link.
#pragma once

#include <optional>
#include <string>

#include "core/address.h"
#include "kernel/netlink.h"
#include "util/result.h"

namespace linkbal {

class Neighbours {
  public:
    // The kernel has asked on the device who has the address, and has had no answer (yet). False also
    // where it has not asked, and where it can't be told.
    bool is_missing(const std::string& device, const IpAddress& address);

  private:
    std::optional<NetlinkSocket> socket_; // opened when it is needed first
};

} // namespace linkbal
