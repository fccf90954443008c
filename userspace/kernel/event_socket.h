// SPDX-License-Identifier: GPL-2.0-or-later
// Netlink's multicast messages: what changes in the kernel, and who changed it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>

#include <libmnl/libmnl.h>
#include <linux/filter.h>

#include "util/result.h"

namespace linkbal {

struct EventOptions {
    int receive_room = 1 << 20; // a burst of a few thousand routes; beyond it events are lost
    // What it drops is no event; in force before the first one can come.
    const sock_fprog* filter = nullptr;
};

struct Drained {
    bool complete = true; // false: some were lost because they came faster than they were read
    bool more = false;    // not everything was read that has arrived
};

class EventSocket {
  public:
    // `protocol` is NETLINK_ROUTE or NETLINK_NETFILTER, `groups` are RTNLGRP_* or NFNLGRP_*. Never
    // blocks. Belongs to the network namespace of the calling thread.
    static Result<EventSocket> open(int protocol, std::initializer_list<unsigned> groups,
                                    const EventOptions& options = {});

    [[nodiscard]] int fd() const { return mnl_socket_get_fd(socket_.get()); }

    // Hands over every message that has arrived. False: some were lost because they came faster than
    // they were read (ENOBUFS); whoever follows the kernel must then read everything again.
    Result<bool> drain(const std::function<void(const nlmsghdr&)>& handle);
    // The same for `most` datagrams at most, for who must not be kept by a flood.
    Result<Drained> drain(const std::function<void(const nlmsghdr&)>& handle, size_t most);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    explicit EventSocket(mnl_socket* socket) : socket_(socket) {}
    std::unique_ptr<mnl_socket, Close> socket_;
};

} // namespace linkbal
