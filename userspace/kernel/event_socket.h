// SPDX-License-Identifier: GPL-2.0-or-later
// Netlink's multicast messages: what changes in the kernel, and who changed it.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>

#include <libmnl/libmnl.h>

#include "util/result.h"

namespace linkbal {

class EventSocket {
  public:
    // `protocol` is NETLINK_ROUTE or NETLINK_NETFILTER, `groups` are RTNLGRP_* or NFNLGRP_*. Never
    // blocks. Belongs to the network namespace of the calling thread.
    static Result<EventSocket> open(int protocol, std::initializer_list<unsigned> groups);

    [[nodiscard]] int fd() const { return mnl_socket_get_fd(socket_.get()); }

    // Hands over every message that has arrived. False: some were lost because they came faster than
    // they were read (ENOBUFS); whoever follows the kernel must then read everything again.
    Result<bool> drain(const std::function<void(const nlmsghdr&)>& handle);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    explicit EventSocket(mnl_socket* socket) : socket_(socket) {}
    std::unique_ptr<mnl_socket, Close> socket_;
};

} // namespace linkbal
