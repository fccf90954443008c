// SPDX-License-Identifier: GPL-2.0-or-later
// Two network namespaces of one process with a veth pair between them: probes are sent from the near
// one, and sockets that were opened in the far one answer them on the same event loop.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "daemon/asio.h"
#include "daemon/prober.h"
#include "util/clock.h"
#include "util/fd.h"

namespace linkbal::test {

class FarSide {
  public:
    // Enters a namespace of its own, the near one: wan1 is 192.0.2.1/24 and 2001:db8::1/64.
    FarSide();
    ~FarSide();
    FarSide(const FarSide&) = delete;
    FarSide& operator=(const FarSide&) = delete;

    // The pair, up and with addresses; those of the far side are .9, .10, ::9 and ::10.
    void connect();
    // Both ends go.
    void disconnect();
    void at_far_side(const std::function<void()>& action) const;
    void ignore_pings(bool ignore) const;
    // A socket of the far side, bound to address and port; a stream socket listens.
    [[nodiscard]] Fd serve(int type, const std::string& address, uint16_t port) const;

  private:
    Fd original_, near_, far_;
};

[[nodiscard]] IpAddress address(const std::string& text);
[[nodiscard]] ProbePath wan1(Family family = Family::ipv4);

// Runs the event loop until `condition` is true; false after a generous time.
bool run_until(asio::io_context& context, const std::function<bool()>& condition);

} // namespace linkbal::test

#define LINKBAL_FAR_SIDE(name)                                                                     \
    if (geteuid() != 0) {                                                                          \
        LINKBAL_SKIP("no network namespaces of our own: needs root");                              \
    }                                                                                              \
    ::linkbal::test::FarSide name
