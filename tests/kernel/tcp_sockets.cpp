// SPDX-License-Identifier: GPL-2.0-or-later
#include "tcp_sockets.h"

#include <cstring>

#include "support/catch.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/address.h"

namespace linkbal::test {

namespace {

constexpr int patience = 10000; // ms; a client's own retransmissions give up after minutes

sockaddr_storage at(const std::string& address, uint16_t port) {
    sockaddr_storage socket{};
    const auto ip_address = IpAddress::parse(address).value();
    if (ip_address.family() == Family::ipv4) {
        auto& ipv4 = reinterpret_cast<sockaddr_in&>(socket);
        ipv4 = {AF_INET, htons(port), {}, {}};
        std::memcpy(&ipv4.sin_addr, ip_address.bytes().data(), 4);
    } else {
        auto& ipv6 = reinterpret_cast<sockaddr_in6&>(socket);
        ipv6 = {AF_INET6, htons(port), 0, {}, 0};
        std::memcpy(&ipv6.sin6_addr, ip_address.bytes().data(), 16);
    }
    return socket;
}

} // namespace

Fd bound(const std::string& address, uint16_t port) {
    const sockaddr_storage name = at(address, port);
    Fd socket(::socket(name.ss_family, SOCK_STREAM, 0));
    const int on = 1;
    setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    REQUIRE(bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    return socket;
}

Fd listener(const std::string& address, uint16_t port) {
    Fd socket = bound(address, port);
    REQUIRE(listen(socket.get(), 4096) == 0);
    return socket;
}

Ends connect(Fd client, const std::string& address, uint16_t port, const Fd& listening) {
    const sockaddr_storage name = at(address, port);
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    Fd server(accept(listening.get(), nullptr, nullptr));
    REQUIRE(server);
    return {std::move(client), std::move(server)};
}

bool becomes(const Fd& socket, short event) {
    pollfd waiting{socket.get(), event, 0};
    return poll(&waiting, 1, patience) == 1 && (waiting.revents & event) != 0;
}

int error_of(const Fd& socket) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

void pass(const Fd& from, const Fd& to, const std::string& text) {
    REQUIRE(send(from.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
    std::string got(text.size(), '\0');
    timeval limit{patience / 1000, 0};
    setsockopt(to.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    REQUIRE(recv(to.get(), got.data(), got.size(), MSG_WAITALL) ==
            static_cast<ssize_t>(text.size()));
    CHECK(got == text);
}

void vanish(Fd socket) {
    const int on = 1;
    REQUIRE(setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) == 0);
}

} // namespace linkbal::test
