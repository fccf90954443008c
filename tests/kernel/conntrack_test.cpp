// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstring>

#include "support/catch.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kernel/conntrack.h"
#include "program.h"
#include "util/fd.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using Counts = std::map<uint32_t, uint64_t>;

// A datagram over lo from a port of its own: one connection.
template <typename Address>
void send_datagram(const Address& to) {
    const Fd socket(::socket(reinterpret_cast<const sockaddr&>(to).sa_family, SOCK_DGRAM, 0));
    REQUIRE(sendto(socket.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
            1);
}

void connect4(uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    send_datagram(to);
}

void connect6(uint16_t port) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    to.sin6_addr = IN6ADDR_LOOPBACK_INIT;
    send_datagram(to);
}

// Port 1001 gets mark 1, 1002 mark 2 and so on, in bits 16 to 23, and a foreign bit.
void mark_by_port() {
    nft("table inet marks { chain o { type filter hook output priority 0;\n"
        "udp dport 1001 ct mark set 0x80010000\n"
        "udp dport 1002 ct mark set 0x80020000\n"
        "udp dport 1009 ct mark set 0x80000000\n"
        // Port unreachable goes back as a related packet, which must not make a connection.
        "}; chain i { type filter hook input priority 0; udp dport 1001-1009 ct state new accept; "
        "}; }");
}

} // namespace

TEST_CASE("connections are counted and deleted by the bits of the mask, both families") {
    LINKBAL_OWN_NAMESPACE();
    make_network();
    CHECK(count_by_mark(0x00ff0000).value().empty());
    mark_by_port();
    connect4(1001);
    connect4(1001);
    connect6(1001);
    connect4(1002);
    connect6(1002);
    connect4(1009);
    CHECK(count_by_mark(0x00ff0000).value() == Counts{{0, 1}, {0x00010000, 3}, {0x00020000, 2}});
    CHECK(count_by_mark(0x80000000).value() == Counts{{0x80000000, 6}});

    REQUIRE(delete_by_mark(0x00010000, 0x00ff0000));
    CHECK(count_by_mark(0x00ff0000).value() == Counts{{0, 1}, {0x00020000, 2}});
    REQUIRE(delete_by_mark(0x00010000, 0x00ff0000));
    CHECK(count_by_mark(0x00ff0000).value() == Counts{{0, 1}, {0x00020000, 2}});
}

TEST_CASE("connections of one family are deleted, the other's go on") {
    LINKBAL_OWN_NAMESPACE();
    make_network();
    mark_by_port();
    connect4(1001);
    connect6(1001);
    connect6(1002);
    REQUIRE(delete_by_mark(0x00010000, 0x00ff0000, Family::ipv6));
    CHECK(count_by_mark(0x00ff0000).value() == Counts{{0x00010000, 1}, {0x00020000, 1}});
    REQUIRE(delete_by_mark(0x00010000, 0x00ff0000, Family::ipv4));
    CHECK(count_by_mark(0x00ff0000).value() == Counts{{0x00020000, 1}});
}

TEST_CASE("a deletion of everything by mistake is refused") {
    LINKBAL_OWN_NAMESPACE();
    make_network();
    mark_by_port();
    connect4(1001);
    CHECK_FALSE(delete_by_mark(0, 0));
    CHECK_FALSE(delete_by_mark(0x01000000, 0x00ff0000));
    CHECK(count_by_mark(0x00ff0000).value() == Counts{{0x00010000, 1}});
}

TEST_CASE("thousands of connections are counted, none twice") {
    LINKBAL_OWN_NAMESPACE();
    make_network();
    mark_by_port();
    const Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(1001);
    for (uint32_t host = 0; host < 3000; ++host) {
        to.sin_addr.s_addr = htonl(0x7f010000 + host);
        REQUIRE(sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) == 1);
    }
    CHECK(count_by_mark(0x00ff0000).value() == Counts{{0x00010000, 3000}});
}
