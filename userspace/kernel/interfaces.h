// SPDX-License-Identifier: GPL-2.0-or-later
// Network interfaces and their addresses, as the kernel reports them now.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/facts.h"
#include "kernel/netlink.h"

namespace linkbal {

// Every interface of this network namespace with its addresses of both families.
Result<std::vector<Interface>> read_interfaces(NetlinkSocket& route_socket);

// Names and indexes both ways; a snapshot of read_interfaces().
class InterfaceNames {
  public:
    explicit InterfaceNames(const std::vector<Interface>& interfaces);
    // 0 where there is no such interface.
    [[nodiscard]] uint32_t index(std::string_view name) const;
    // "#INDEX" where there is no such interface.
    [[nodiscard]] std::string name(uint32_t index) const;

  private:
    std::map<std::string, uint32_t, std::less<>> by_name_;
    std::map<uint32_t, std::string> by_index_;
};

} // namespace linkbal
