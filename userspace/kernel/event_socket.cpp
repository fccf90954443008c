// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/event_socket.h"

#include <array>
#include <cerrno>
#include <limits>

#include <fcntl.h>
#include <sys/socket.h>

namespace linkbal {

namespace {

// What the kernel puts into one datagram of events at most, with room to spare (NLMSG_GOODSIZE is
// 8 kB, or a page where that is more).
constexpr size_t datagram_capacity = 65536;

} // namespace

Result<EventSocket> EventSocket::open(int protocol, std::initializer_list<unsigned> groups,
                                      const EventOptions& options) {
    mnl_socket* raw = mnl_socket_open2(protocol, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (raw == nullptr) {
        return fail_errno(errno, "open a netlink socket for events");
    }
    EventSocket socket(raw);
    // Past rmem_max with CAP_NET_ADMIN; with less, events are lost sooner, which is noticed.
    (void)::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &options.receive_room,
                       sizeof(options.receive_room));
    if (options.filter != nullptr && ::setsockopt(socket.fd(), SOL_SOCKET, SO_ATTACH_FILTER,
                                                  options.filter, sizeof(*options.filter)) != 0) {
        return fail_errno(errno, "filter netlink events");
    }
    if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) < 0) {
        return fail_errno(errno, "bind a netlink socket for events");
    }
    for (unsigned group : groups) {
        if (mnl_socket_setsockopt(raw, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
            return fail_errno(errno, fmt::format("join netlink group {}", group));
        }
    }
    return socket;
}

Result<bool> EventSocket::drain(const std::function<void(const nlmsghdr&)>& handle) {
    const auto drained = drain(handle, std::numeric_limits<size_t>::max());
    return drained ? Result<bool>(drained->complete) : tl::unexpected(drained.error());
}

Result<Drained> EventSocket::drain(const std::function<void(const nlmsghdr&)>& handle,
                                   size_t most) {
    alignas(nlmsghdr) static thread_local std::array<char, datagram_capacity> buffer;
    Drained drained;
    for (size_t datagrams = 0; datagrams < most;) {
        const auto size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (size < 0) {
            if (errno == EAGAIN) {
                return drained;
            }
            if (errno != ENOBUFS && errno != EINTR) {
                return fail_errno(errno, "read netlink events");
            }
            drained.complete = drained.complete && errno != ENOBUFS;
            continue;
        }
        ++datagrams;
        int left = static_cast<int>(size);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            handle(*message);
        }
    }
    drained.more = true;
    return drained;
}

} // namespace linkbal
