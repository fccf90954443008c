// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway with two links in the test's own network namespace: the main table prefers the first, the
// mark `second_mark` leads out by the second.
#pragma once

#include <cstdint>
#include <string>

#include "program.h"
#include "support/catch.h"

namespace linkbal::test {

inline constexpr uint32_t second_mark = 0x20000;

inline void ip(const std::string& words) {
    const auto outcome = run({"sh", "-c", "ip " + words});
    INFO(words << ": " << outcome.output);
    REQUIRE(outcome.status == 0);
}

inline void make_two_links() {
    make_network({"wan1", "wan2"});
    for (const std::string n : {"1", "2"}) {
        ip("addr add 198.51.10" + n + ".2/24 dev wan" + n);
        ip("addr add 2001:db8:" + n + "::2/64 nodad dev wan" + n);
    }
    ip("route add default via 198.51.101.1");
    ip("-6 route add default via 2001:db8:1::1");
    ip("route add default via 198.51.102.1 table 77");
    ip("-6 route add default via 2001:db8:2::1 table 77");
    for (const std::string family : {"-4", "-6"}) {
        ip(family + " rule add fwmark 0x20000/0xff0000 lookup 77 priority 10001");
    }
}

// A program that prints, for a connected socket of each kind and family, its mark and its address.
inline const std::string socket_report = R"(
from socket import *
for family, server in ((AF_INET, '203.0.113.1'), (AF_INET6, '2001:db8:ff::1')):
    for kind, protocol in ((SOCK_STREAM, 0), (SOCK_DGRAM, 0),
                           (SOCK_RAW, IPPROTO_ICMP if family == AF_INET else IPPROTO_ICMPV6)):
        s = socket(family, kind, protocol)
        s.setblocking(False)
        s.connect_ex((server, 443))
        print(hex(s.getsockopt(SOL_SOCKET, 36)), s.getsockname()[0])
)";

// What it prints where every socket has `mark` and the addresses of link `n`.
inline std::string expected_report(const std::string& mark, const std::string& n) {
    std::string text;
    for (const std::string& address : {"198.51.10" + n + ".2", "2001:db8:" + n + "::2"}) {
        for (int kind = 0; kind < 3; ++kind) {
            text += mark + " " + address + "\n";
        }
    }
    return text;
}

} // namespace linkbal::test
