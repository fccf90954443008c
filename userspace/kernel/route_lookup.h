// SPDX-License-Identifier: GPL-2.0-or-later
// Where the kernel would send a packet of the gateway's own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include <libmnl/libmnl.h>

#include "core/address.h"
#include "util/result.h"

namespace linkbal {

// Remembers its answers: for one piece of work, not for long.
class RouteLookup {
  public:
    static Result<RouteLookup> open();

    // Is the address behind the gateway, on the LAN or a VPN: neither the gateway's own nor one that
    // only a default route leads to? The routes themselves are asked, since a LAN may be more than
    // its interfaces' subnets. False where the kernel knows no way.
    bool is_behind_us(const IpAddress& address);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    explicit RouteLookup(mnl_socket* socket) : socket_(socket) {}
    [[nodiscard]] bool ask(const IpAddress& address);

    std::unique_ptr<mnl_socket, Close> socket_;
    uint32_t sequence_ = 0;
    std::map<IpAddress, bool> known_;
};

} // namespace linkbal
