// SPDX-License-Identifier: GPL-2.0-or-later
// What the loaded table does to packets: marks, counters, masquerade. One gateway namespace; frames
// from outside are put on the far ends of its veth pairs.
#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "support/catch.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <sys/socket.h>

#include "kernel/conntrack.h"
#include "kernel/nftables.h"
#include "program.h"
#include "util/fd.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using Counts = std::map<uint32_t, uint64_t>;
constexpr uint32_t mask = 0x00ff0000;
constexpr uint32_t first = 0x00010000;
constexpr uint32_t second = 0x00020000;

void ip(const std::string& commands) {
    const auto outcome = run({"ip", "-batch", "-"}, commands);
    INFO(commands << outcome.output);
    REQUIRE(outcome.status == 0);
}

void set(const std::string& sysctl, char value) {
    FILE* file = std::fopen(("/proc/sys/net/" + sysctl).c_str(), "w");
    REQUIRE(file != nullptr);
    std::fputc(value, file);
    REQUIRE(std::fclose(file) == 0);
}

// lan0: 192.0.2.0/26, wan1: 198.51.100.0/26, wan2: 203.0.113.0/26, each with a host .9 behind it
// that never answers. "observed" counts packets whose mark is the first uplink's.
void make_gateway() {
    make_network({"lan0", "wan1", "wan2"});
    ip("addr add 192.0.2.1/26 dev lan0\n"
       "addr add 198.51.100.1/26 dev wan1\n"
       "addr add 203.0.113.1/26 dev wan2\n"
       "neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev lan0\n"
       "neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev wan1\n"
       "neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev wan2\n"
       "addr add 2001:db8:1::1/64 dev wan1 nodad\n"
       "addr add 2001:db8:2::1/128 dev lo nodad\n"
       "neigh add 2001:db8:1::9 lladdr 02:00:00:00:00:09 dev wan1\n");
    set("ipv4/ip_forward", '1');
    for (const char* device : {"all", "lan0", "wan1", "wan2"}) {
        set(std::string("ipv4/conf/") + device + "/rp_filter", '0');
    }
    nft("table inet observer {\n"
        "counter restored { }\ncounter kept { }\ncounter hidden { }\ncounter hidden6 { }\n"
        "chain out { type filter hook output priority 0;\n"
        "meta mark & 0x00ff0000 == 0x00010000 counter name restored\n"
        "meta mark & 0x0000ffff == 0x00001234 counter name kept\n}\n"
        "chain forwarded { type filter hook forward priority 0;\n"
        "meta mark & 0x00ff0000 == 0x00010000 counter name restored\n}\n"
        "chain leaving { type filter hook postrouting priority 300;\n"
        "oifname wan1 ip saddr 198.51.100.1 udp dport 7 counter name hidden\n"
        "oifname wan1 ip6 saddr 2001:db8:1::1 udp dport 7 counter name hidden6\n}\n}");
    const NetfilterState state{
        mask,
        {{"velox1", "wan1", first}, {"velox2", "wan2", second}},
        {Prefix::parse("192.0.2.0/26").value(), Prefix::parse("2001:db8:2::/64").value()}};
    REQUIRE(replace("linkbal", state));
}

uint64_t observed(const std::string& counter) {
    const auto text = nft_list("counter inet observer " + counter);
    return std::stoull(text.substr(text.find("packets ") + 8));
}

std::array<uint8_t, 6> mac_of(const std::string& device) {
    std::array<uint8_t, 6> mac{};
    const auto text = run({"ip", "-br", "link", "show", device}).output;
    const auto at = text.find(':');
    REQUIRE(at != std::string::npos);
    for (size_t i = 0; i < mac.size(); ++i) {
        mac[i] = static_cast<uint8_t>(std::stoul(text.substr(at - 2 + 3 * i, 2), nullptr, 16));
    }
    return mac;
}

uint16_t checksum(const void* data, size_t size) {
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 2) {
        uint16_t word = 0;
        std::memcpy(&word, static_cast<const uint8_t*>(data) + i, 2);
        sum += word;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~((sum & 0xffff) + (sum >> 16)));
}

std::vector<uint8_t> udp_frame(const std::string& device, const char* from, const char* to,
                               uint16_t port) {
    ether_header ethernet{};
    iphdr network{};
    udphdr transport{};
    const auto mac = mac_of(device);
    std::memcpy(ethernet.ether_dhost, mac.data(), mac.size());
    ethernet.ether_type = htons(ETHERTYPE_IP);
    network.version = 4;
    network.ihl = 5;
    network.ttl = 64;
    network.protocol = IPPROTO_UDP;
    network.tot_len = htons(sizeof network + sizeof transport);
    network.saddr = inet_addr(from);
    network.daddr = inet_addr(to);
    network.check = checksum(&network, sizeof network);
    transport.source = htons(4000);
    transport.dest = htons(port);
    transport.len = htons(sizeof transport); // checksum 0: none
    std::vector<uint8_t> frame(sizeof ethernet + sizeof network + sizeof transport);
    std::memcpy(frame.data(), &ethernet, sizeof ethernet);
    std::memcpy(frame.data() + sizeof ethernet, &network, sizeof network);
    std::memcpy(frame.data() + sizeof ethernet + sizeof network, &transport, sizeof transport);
    return frame;
}

// A datagram that comes in by `device`, as the gateway sees it.
void arrive(const std::string& device, const char* from, const char* to, uint16_t port) {
    const auto frame = udp_frame(device, from, to, port);
    const Fd socket(::socket(AF_PACKET, SOCK_RAW, 0));
    sockaddr_ll on{};
    on.sll_family = AF_PACKET;
    on.sll_ifindex = static_cast<int>(if_nametoindex((device + "p").c_str()));
    REQUIRE(sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&on),
                   sizeof on) == static_cast<ssize_t>(frame.size()));
}

ConnectionCounters counters(const std::string& uplink) {
    return connection_counters("linkbal").value().at(uplink);
}

} // namespace

TEST_CASE("a connection of the gateway's own is pinned to the uplink it leaves by") {
    LINKBAL_OWN_NAMESPACE();
    make_gateway();
    const Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
    const int foreign_bits = 0x1234;
    setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &foreign_bits, sizeof foreign_bits);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(7);
    to.sin_addr.s_addr = inet_addr("198.51.100.9");
    for (int i = 0; i < 3; ++i) {
        REQUIRE(sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) == 1);
    }
    CHECK(counters("velox1") == ConnectionCounters{0, 1});
    CHECK(counters("velox2") == ConnectionCounters{0, 0});
    CHECK(count_by_mark(mask).value()[first] == 1);
    CHECK(observed("restored") == 2); // all but the first, which conntrack did not know yet
    CHECK(observed("kept") == 3);
}

TEST_CASE("a connection of the LAN's is pinned, counted and masqueraded") {
    LINKBAL_OWN_NAMESPACE();
    make_gateway();
    for (int i = 0; i < 3; ++i) {
        arrive("lan0", "192.0.2.9", "198.51.100.9", 7);
    }
    CHECK(counters("velox1") == ConnectionCounters{0, 1});
    CHECK(count_by_mark(mask).value()[first] == 1);
    CHECK(observed("restored") == 2);
    CHECK(observed("hidden") == 3);
}

TEST_CASE("IPv6 is masqueraded too") {
    LINKBAL_OWN_NAMESPACE();
    make_gateway();
    const Fd socket(::socket(AF_INET6, SOCK_DGRAM, 0));
    sockaddr_in6 from{};
    from.sin6_family = AF_INET6;
    REQUIRE(inet_pton(AF_INET6, "2001:db8:2::1", &from.sin6_addr) == 1);
    REQUIRE(bind(socket.get(), reinterpret_cast<sockaddr*>(&from), sizeof from) == 0);
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(7);
    REQUIRE(inet_pton(AF_INET6, "2001:db8:1::9", &to.sin6_addr) == 1);
    REQUIRE(sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) == 1);
    CHECK(observed("hidden6") == 1);
    CHECK(count_by_mark(mask).value()[first] == 1);
}

TEST_CASE("a connection from outside is pinned to the uplink it came in by") {
    LINKBAL_OWN_NAMESPACE();
    make_gateway();
    SECTION("to the gateway") { arrive("wan1", "198.51.100.9", "198.51.100.1", 9); }
    SECTION("forwarded to the LAN, by a port forward of another table before dstnat") {
        nft("table ip forwards { chain pre { type nat hook prerouting priority -110; udp dport 9 "
            "dnat to 192.0.2.9; }; }");
        arrive("wan1", "198.51.100.9", "198.51.100.1", 9);
        arrive("wan1", "198.51.100.9", "198.51.100.1", 9);
        CHECK(observed("restored") == 1);
    }
    SECTION("forwarded out by the other uplink") {
        nft("table ip forwards { chain pre { type nat hook prerouting priority dstnat; udp dport 9 "
            "dnat to 203.0.113.9; }; }");
        arrive("wan1", "198.51.100.9", "198.51.100.1", 9);
    }
    CHECK(counters("velox1") == ConnectionCounters{1, 0});
    CHECK(counters("velox2") == ConnectionCounters{0, 0});
    CHECK(count_by_mark(mask).value()[first] == 1);
    CHECK(count_by_mark(mask).value()[second] == 0);
}

TEST_CASE("connections from before the table are left alone") {
    LINKBAL_OWN_NAMESPACE();
    make_gateway();
    REQUIRE(linkbal::remove("linkbal"));
    nft("add rule inet observer forwarded ct state new accept"); // makes the namespace track
    arrive("lan0", "192.0.2.9", "198.51.100.9", 4000);           // from port 4000, too
    arrive("wan1", "198.51.100.9", "192.0.2.9", 4000);
    REQUIRE(count_by_mark(mask).value() == Counts{{0, 1}});
    REQUIRE(replace("linkbal", {mask, {{"velox1", "wan1", first}}, {}}));
    arrive("lan0", "192.0.2.9", "198.51.100.9", 4000);
    arrive("wan1", "198.51.100.9", "192.0.2.9", 4000);
    CHECK(count_by_mark(mask).value() == Counts{{0, 1}});
    CHECK(counters("velox1") == ConnectionCounters{0, 0});
    CHECK(observed("restored") == 0);
}
