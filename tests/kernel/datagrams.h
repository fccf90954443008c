// SPDX-License-Identifier: GPL-2.0-or-later
// A datagram socket of a service's, such as the service manager's or the journal's, to be bound by the
// test.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "support/catch.h"
#include <sys/socket.h>
#include <sys/un.h>

#include "util/fd.h"

namespace linkbal::test {

class Datagrams {
  public:
    explicit Datagrams(const std::string& path)
        : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        REQUIRE(path.size() < sizeof(address.sun_path));
        path.copy(static_cast<char*>(address.sun_path), path.size());
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address),
                       sizeof(address)) == 0);
    }

    [[nodiscard]] std::optional<std::string> next() const {
        std::array<char, 4096> bytes{};
        const auto size = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        return size < 0 ? std::nullopt
                        : std::optional(std::string(bytes.data(), static_cast<size_t>(size)));
    }

  private:
    Fd socket_;
};

} // namespace linkbal::test
