// SPDX-License-Identifier: GPL-2.0-or-later
// Very many connections that the kernel ends at once, and what it costs to listen for them.
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "captured_log.h"
#include "client_network.h"
#include "daemon/deaths.h"
#include "kernel/conntrack.h"
#include "kernel/death_events.h"
#include "kernel/interfaces.h"
#include "kernel/netlink.h"
#include "kernel/provocation.h"
#include "support/cpu_time.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

double ms(std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

Facts facts_now() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    REQUIRE(socket);
    Facts facts;
    facts.interfaces = read_interfaces(*socket).value();
    return facts;
}

constexpr size_t ip_header = 20;

// Entries of connections that conntrack picks up in their middle: a packet each.
void pick_up(const Network& network, size_t count) {
    set("netfilter/nf_conntrack_checksum", '0');
    {
        const Visit visit(network.server);
        nft("table inet silent { chain out { type filter hook output priority 0; tcp flags & rst "
            "!= 0 drop; }; }");
    }
    const Visit visit(network.client);
    const Fd raw(::socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
    const auto server = IpAddress::parse("192.0.2.200").value();
    const auto client = IpAddress::parse("192.0.2.9").value();
    const sockaddr_in to{AF_INET, 0, {htonl(0xc00002c8)}, {}};
    for (size_t i = 0; i < count; ++i) {
        auto packet = provoking_packet({server, client, static_cast<uint16_t>(80 + (i % 4)),
                                        static_cast<uint16_t>(1024 + (i / 4))},
                                       1, 1);
        packet.at(ip_header + 13) = TH_ACK;
        REQUIRE(sendto(raw.get(), packet.data(), packet.size(), 0,
                       reinterpret_cast<const sockaddr*>(&to), sizeof to) > 0);
    }
}

// The longest that one turn of the loop computes until nothing is left to do.
std::chrono::nanoseconds longest_turn(asio::io_context& context, const Deaths& deaths,
                                      size_t expected) {
    std::chrono::nanoseconds longest{};
    const Time deadline = Clock::now() + 40s;
    while ((deaths.resets() < expected || deaths.waiting() > 0) && Clock::now() < deadline) {
        context.restart();
        const auto start = cpu_time();
        if (context.poll_one() > 0) {
            longest = std::max(longest, cpu_time() - start);
        }
    }
    return longest;
}

} // namespace

TEST_CASE("65536 connections that die at once don't keep the daemon") {
    LINKBAL_OWN_NAMESPACE();
    constexpr size_t count = 65536;
    const Network network;
    Network::load();
    const CapturedLog log;
    asio::io_context context;
    Deaths deaths(context, "linkbal");
    deaths.settle(mask, facts_now());
    pick_up(network, count);
    const auto marked = count_by_mark(mask).value()[first];
    REQUIRE(marked > count * 9 / 10);
    const Time start = Clock::now();
    ip_batch("link set wan1 down\n");
    deaths.settle(mask, facts_now());
    const auto longest = longest_turn(context, deaths, marked);
    WARN(marked << " connections: " << deaths.resets() << " clients told within "
                << ms(Clock::now() - start) << " ms, the longest turn took " << ms(longest)
                << " ms\n"
                << log.text());
    CHECK(deaths.resets() == marked);
    CHECK(longest < 500ms);
}

// Each connection ends the one before: a SYN on an entry that is closed replaces it.
TEST_CASE("what it costs to listen", "[.cost]") {
    LINKBAL_OWN_NAMESPACE();
    constexpr int connections = 4000;
    const Network network;
    Network::load();
    const Fd listening = network.listen("192.0.2.200", 80);
    std::vector<double> without;
    std::vector<double> with;
    for (int round = 0; round < 30; ++round) {
        std::optional<EventSocket> deaths;
        if (round % 2 != 0) {
            deaths = open_death_events(mask).value();
        }
        const Time start = Clock::now();
        for (int i = 0; i < connections; ++i) {
            const Ends ends =
                connect(network.client_socket("192.0.2.9", 4000), "192.0.2.200", 80, listening);
            const linger now{1, 0};
            setsockopt(ends.client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        (deaths ? with : without).push_back(1000 * ms(Clock::now() - start) / connections);
    }
    std::ranges::sort(without);
    std::ranges::sort(with);
    WARN("microseconds a connection, without: " << without[2] << " " << without[7] << " "
                                                << without[12] << ", with: " << with[2] << " "
                                                << with[7] << " " << with[12]);
}
