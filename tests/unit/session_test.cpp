// SPDX-License-Identifier: GPL-2.0-or-later
// Sessions out of the kernel's text and out of sshd's.
#include "kernel/session.h"

#include <bit>

#include "gateway_cases.h"

using namespace linkbal;
using namespace linkbal::test;
using State = TcpSocket::State;

namespace {

// As /proc/net/tcp and tcp6 have them where the machine is little-endian.
const std::string tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
                        "retrnsmt   uid  timeout inode\n"
                        "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 "
                        "00000000     0        0 100 1\n"
                        "   1: 0100A8C0:0016 4D00A8C0:D431 01 00000000:00000000 02:000A9D2B "
                        "00000000     0        0 101 2\n"
                        "   2: 0201A8C0:9C40 077100CB:01BB 01 00000000:00000000 02:000A9D2B "
                        "00000000     0        0 102 2\n"
                        "   3: 0100A8C0:0016 4D00A8C0:D432 06 00000000:00000000 02:000A9D2B "
                        "00000000     0        0 0 2\n"
                        "   4: 0100007F:0016 0100007F:D433 01 00000000:00000000 02:000A9D2B "
                        "00000000     0        0 103 2\n";
const std::string tcp6 =
    "  sl  local_address                         remote_address                        st\n"
    "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 200 1\n"
    "   1: 0000000000000000FFFF00000201A8C0:1F90 0000000000000000FFFF0000077100CB:D431 01 "
    "00000000:00000000 00:00000000 00000000     0        0 201 1\n"
    "   2: B80D0120000001000000000001000000:1F90 B80D0120000001000000000077000000:D431 01 "
    "00000000:00000000 00:00000000 00000000     0        0 202 1\n"
    "   3: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:D431 01 "
    "00000000:00000000 00:00000000 00000000     0        0 203 1\n";

std::vector<Session> sessions(const std::string& text, const std::set<uint64_t>& inodes) {
    return incoming_sessions(parse_proc_net_tcp(text), inodes);
}

} // namespace

TEST_CASE("sessions are what others have opened to a port of ours") {
    if (std::endian::native != std::endian::little) {
        return;
    }
    const std::set<uint64_t> all{100, 101, 102, 103, 200, 201, 202, 203};
    CHECK(parse_proc_net_tcp(tcp).size() == 5);
    CHECK(sessions(tcp, all) ==
          std::vector{Session{ip("192.168.0.77"), ip("192.168.0.1"), 22}}); // not the one to :443
    CHECK(sessions(tcp, {102, 103}).empty());
    CHECK(sessions(tcp, {}).empty());
}

TEST_CASE("IPv4 clients of a socket for both families are IPv4 clients") {
    if (std::endian::native != std::endian::little) {
        return;
    }
    CHECK(sessions(tcp6, {201}) ==
          std::vector{Session{ip("203.0.113.7"), ip("192.168.1.2"), 8080}});
    CHECK(sessions(tcp6, {202}) ==
          std::vector{Session{ip("2001:db8:1::77"), ip("2001:db8:1::1"), 8080}});
    CHECK(sessions(tcp6, {203}).empty());
}

TEST_CASE("a listener at another address is somebody else's") {
    if (std::endian::native != std::endian::little) {
        return;
    }
    std::string other = tcp;
    other.replace(other.find("00000000:0016"), 13, "0201A8C0:0016");
    CHECK(sessions(other, {101}).empty());
    other.replace(other.find("0201A8C0:0016"), 13, "0100A8C0:0016");
    CHECK(sessions(other, {101}).size() == 1);
}

TEST_CASE("lines that nobody prints are passed over") {
    for (const char* text :
         {"", "\n\n", "0: 1 2 3", "0: 0100A8C0 4D00A8C0:D431 01 0:0 0:0 0 0 0 101",
          "0: 0100A8C:0016 4D00A8C0:D431 01 0:0 0:0 0 0 0 101",
          "0: 0100A8C0:0016 4D00A8C0:D431 01 0:0 0:0 0 0 0 -1",
          "0: 0100A8C0:10016 4D00A8C0:D431 01 0:0 0:0 0 0 0 101"}) {
        INFO(text);
        CHECK(parse_proc_net_tcp(text).empty());
    }
}

TEST_CASE("sshd says who has come") {
    CHECK(parse_ssh_connection("203.0.113.7 50000 192.168.1.2 22") ==
          Session{ip("203.0.113.7"), ip("192.168.1.2"), 22});
    CHECK(parse_ssh_connection("fe80::7%eth0 50000 fe80::1%eth0 2222") ==
          Session{ip("fe80::7"), ip("fe80::1"), 2222});
    CHECK(parse_ssh_connection("::ffff:203.0.113.7 50000 ::ffff:192.168.1.2 22") ==
          Session{ip("203.0.113.7"), ip("192.168.1.2"), 22});
    for (const char* text :
         {"", "UNKNOWN 65535 UNKNOWN 65535", "127.0.0.1 50000 127.0.0.1 22", "::1 50000 ::1 22",
          "203.0.113.7 50000 192.168.1.2", "203.0.113.7 50000 192.168.1.2 70000"}) {
        INFO(text);
        CHECK(!parse_ssh_connection(text));
    }
}
