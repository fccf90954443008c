// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/probe_path.h"

#include <algorithm>
#include <cerrno>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "kernel/interface_index.h"

namespace linkbal {

namespace {

// A link-local address is one only together with its device.
Status bind_source(int socket, const ProbePath& path) {
    SocketAddress source(*path.source, 0);
    if (path.family == Family::ipv6 && path.source->is_link_local()) {
        const auto index = interface_index(path.device);
        if (!index) {
            return tl::unexpected(index.error());
        }
        reinterpret_cast<sockaddr_in6*>(&source.storage)->sin6_scope_id = *index;
    }
    if (bind(socket, source.get(), source.size) != 0) {
        return fail_errno(errno, fmt::format("probe from {}", path.source->str()));
    }
    return {};
}

} // namespace

SocketAddress::SocketAddress(const IpAddress& address, uint16_t port) {
    const auto bytes = address.bytes();
    if (address.family() == Family::ipv4) {
        auto* inet = reinterpret_cast<sockaddr_in*>(&storage);
        inet->sin_family = AF_INET;
        inet->sin_port = htons(port);
        std::ranges::copy(bytes, reinterpret_cast<uint8_t*>(&inet->sin_addr));
        size = sizeof *inet;
    } else {
        auto* inet = reinterpret_cast<sockaddr_in6*>(&storage);
        inet->sin6_family = AF_INET6;
        inet->sin6_port = htons(port);
        std::ranges::copy(bytes, reinterpret_cast<uint8_t*>(&inet->sin6_addr));
        size = sizeof *inet;
    }
}

Result<Fd> open_probe_socket(const ProbePath& path, int type, int protocol) {
    const int domain = socket_family(path.family);
    Fd socket(::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!socket) {
        return fail_errno(errno, "open a socket for probes");
    }
    if (setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, path.device.data(),
                   static_cast<socklen_t>(path.device.size())) != 0) {
        return fail_errno(errno, fmt::format("probe by {}", path.device));
    }
    if (path.mark != 0 &&
        setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &path.mark, sizeof path.mark) != 0) {
        return fail_errno(errno, "mark probes");
    }
    if (path.source) {
        if (const auto bound = bind_source(socket.get(), path); !bound) {
            return tl::unexpected(bound.error());
        }
    }
    return socket;
}

bool is_worth_another_socket(int error) {
    return error != EAGAIN && error != ENOBUFS && error != EINTR;
}

} // namespace linkbal
