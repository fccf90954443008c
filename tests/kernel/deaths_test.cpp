// SPDX-License-Identifier: GPL-2.0-or-later
// Connections that the kernel itself ends, because an uplink's interface or address has gone.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.h"
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "captured_log.h"
#include "client_network.h"
#include "daemon/deaths.h"
#include "kernel/conntrack.h"
#include "kernel/death_events.h"
#include "kernel/interfaces.h"
#include "kernel/netlink.h"
#include "kernel/strays.h"
#include "loop.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

void no_timeouts() {
    for (const char* state : {"established", "time_wait", "close", "last_ack", "fin_wait"}) {
        set(std::string("netfilter/nf_conntrack_tcp_timeout_") + state, '1');
    }
    set("netfilter/nf_conntrack_udp_timeout", '1');
}

// Expired entries go when they are met.
void let_expire() {
    std::this_thread::sleep_for(2100ms);
    REQUIRE(count_by_mark(mask));
}

bool is_readable(const EventSocket& socket, std::chrono::milliseconds limit) {
    pollfd waiting{socket.fd(), POLLIN, 0};
    return poll(&waiting, 1, static_cast<int>(limit.count())) == 1;
}

size_t events(EventSocket& socket, std::chrono::milliseconds limit = 0ms) {
    size_t count = 0;
    is_readable(socket, limit);
    REQUIRE(socket.drain([&](const nlmsghdr&) { ++count; }));
    return count;
}

EventSocket all_ends() {
    return EventSocket::open(NETLINK_NETFILTER, {NFNLGRP_CONNTRACK_DESTROY}).value();
}

void reset_on_close(const Fd& socket) {
    const linger now{1, 0};
    REQUIRE(setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
}

// The daemon's passes.
Facts facts_now() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    REQUIRE(socket);
    Facts facts;
    facts.interfaces = read_interfaces(*socket).value();
    return facts;
}

const char* const ways[] = {"link delete wan1\n", "link set wan1 down\n",
                            "addr flush dev wan1 scope global\n"};

struct Listening {
    Listening() { deaths.settle(mask, facts_now()); }
    asio::io_context context;
    Deaths deaths{context, "linkbal"};
};

// Runs the loop for that long.
void go_on(asio::io_context& context, std::chrono::milliseconds time) {
    context.restart();
    context.run_for(time);
}

bool has_failed(const Fd& socket) {
    pollfd waiting{socket.get(), 0, 0};
    return poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLERR) != 0;
}

} // namespace

TEST_CASE("connections that end as connections do wake nobody") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    no_timeouts();
    EventSocket all = all_ends();
    EventSocket deaths = open_death_events(mask).value();
    const Fd listening = network.listen("192.0.2.200", 80);
    for (int i = 0; i < 1000; ++i) {
        Ends ends = connect(network.client_socket("192.0.2.9"), "192.0.2.200", 80, listening);
        if (i % 3 == 0) {
            reset_on_close(ends.client);
        } else if (i % 3 == 1) {
            ends.server.reset();
        }
    }
    let_expire();
    CHECK(events(all) == 1000);
    CHECK_FALSE(is_readable(deaths, 100ms));
}

TEST_CASE("an expired, a deleted and an unmarked connection wake nobody, nor does UDP") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    EventSocket all = all_ends();
    EventSocket deaths = open_death_events(GENERATE(mask, 0xff000000U)).value();
    const bool ours = GENERATE(true, false);
    const Fd listening = network.listen("192.0.2.200", 80);
    if (ours) {
        no_timeouts();
    }
    const Ends ends = connect(network.client_socket("192.0.2.9"), "192.0.2.200", 80, listening);
    {
        const Visit visit(network.client);
        const Fd udp(::socket(AF_INET, SOCK_DGRAM, 0));
        sockaddr_in to{AF_INET, htons(9), {htonl(0xc00002c8)}, {}};
        REQUIRE(sendto(udp.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) == 1);
    }
    if (ours) {
        let_expire();
    } else {
        REQUIRE(delete_by_mark(first, mask));
    }
    CHECK(events(all) == 2);
    CHECK_FALSE(is_readable(deaths, 100ms));
}

TEST_CASE("connections whose link goes are told, with all that is needed") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    EventSocket deaths = open_death_events(mask).value();
    EventSocket others = open_death_events(0xff000000U).value();
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    const auto* way = GENERATE(from_range(std::begin(ways), std::end(ways)));
    INFO(client << " " << way);
    const Fd listening = network.listen(server, 80);
    const Ends ends = connect(network.client_socket(client, 4000), server, 80, listening);
    const Ends half = connect(network.client_socket(client, 4001), server, 80, listening);
    REQUIRE(shutdown(half.server.get(), SHUT_WR) == 0);
    ip_batch(way);
    std::vector<Death> told;
    const auto lan =
        Prefix::parse(client.find(':') == std::string::npos ? "192.0.2.0/26" : "2001:db8:2::/64");
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (told.size() < 2 && std::chrono::steady_clock::now() < until) {
        is_readable(deaths, 100ms);
        REQUIRE(deaths.drain([&](const nlmsghdr& event) {
            told.push_back(death_of(
                               event, [&](const IpAddress& a) { return lan->contains(a); }, Time())
                               .value());
        }));
    }
    REQUIRE(told.size() == 2);
    std::ranges::sort(told, {}, &Death::connection);
    CHECK(told[0].connection.client == IpAddress::parse(client));
    CHECK(told[0].connection.server == IpAddress::parse(server));
    CHECK(told[0].connection.client_port == 4000);
    CHECK(told[0].connection.server_port == 80);
    CHECK(told[0].outer == IpAddress::parse(uplink));
    CHECK_FALSE(is_readable(others, 100ms));
}

TEST_CASE("clients of a link that goes are reset, whichever is told first") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    Listening daemon;
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    const auto* way = GENERATE(from_range(std::begin(ways), std::end(ways)));
    const bool pass_first = GENERATE(true, false);
    INFO(client << " " << way << pass_first);
    const Fd listening = network.listen(server, 80);
    const Ends ends = connect(network.client_socket(client), server, 80, listening);
    pass(ends.server, ends.client, "before");
    ip_batch(way);
    Network::switch_over();
    if (pass_first) {
        daemon.deaths.settle(mask, facts_now());
    } else {
        REQUIRE(run_until(daemon.context, [&] { return daemon.deaths.waiting() == 1; }));
        go_on(daemon.context, 100ms);
        CHECK_FALSE(has_failed(ends.client));
        daemon.deaths.settle(mask, facts_now());
    }
    CHECK(run_until(daemon.context, [&] { return has_failed(ends.client); }));
    CHECK(error_of(ends.client) == ECONNRESET);
    CHECK(daemon.deaths.waiting() == 0);
}

TEST_CASE("a client that has sent meanwhile is reset, too, and not sent on by another link") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    {
        const Visit visit(network.server); // a server that says nothing to strangers
        nft("table inet silent { chain out { type filter hook output priority 0; tcp flags & rst "
            "!= 0 drop; }; }");
    }
    Listening daemon;
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    INFO(client);
    const Fd listening = network.listen(server, 80);
    const Ends ends = connect(network.client_socket(client), server, 80, listening);
    ip_batch("link set wan1 down\n");
    Network::switch_over();
    std::this_thread::sleep_for(50ms); // the kernel deletes from a queue of work
    REQUIRE(send(ends.client.get(), "x", 1, MSG_NOSIGNAL) == 1);
    std::this_thread::sleep_for(50ms);
    REQUIRE(count_by_mark(mask).value()[second] == 1);
    daemon.deaths.settle(mask, facts_now());
    CHECK(run_until(daemon.context, [&] { return has_failed(ends.client); }));
    CHECK(count_by_mark(mask).value()[second] == 0);
}

TEST_CASE("strays are what was picked up and never answered") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    const Fd listening = network.listen("192.0.2.200", 80);
    const Ends ends =
        connect(network.client_socket("192.0.2.9", 4000), "192.0.2.200", 80, listening);
    const TcpConnection connection{IpAddress::parse("192.0.2.9").value(),
                                   IpAddress::parse("192.0.2.200").value(), 4000, 80};
    REQUIRE(delete_strays(std::span(&connection, 1)));
    CHECK(count_by_mark(mask).value()[first] == 1);
    TcpConnection unknown = connection;
    unknown.client_port = 4001;
    CHECK(delete_strays(std::span(&unknown, 1)));
}

TEST_CASE("a connection that dies while its address stays is left alone") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    Listening daemon;
    const Fd listening = network.listen("192.0.2.200", 80);
    const Ends ends = connect(network.client_socket("192.0.2.9"), "192.0.2.200", 80, listening);
    ip_batch(
        "link set wan1 down\nlink set wan1 up\nroute replace default via 198.51.100.9 dev wan1\n");
    REQUIRE(run_until(daemon.context, [&] { return daemon.deaths.waiting() == 1; }));
    daemon.deaths.settle(mask, facts_now());
    REQUIRE(run_until(daemon.context, [&] { return daemon.deaths.waiting() == 0; }));
    CHECK_FALSE(has_failed(ends.client));
    pass(ends.client, ends.server, "goes on, by the same address");
}

TEST_CASE("where nobody is to be told nobody listens") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    Listening daemon;
    daemon.deaths.settle(std::nullopt, facts_now());
    const Fd listening = network.listen("192.0.2.200", 80);
    const Ends ends = connect(network.client_socket("192.0.2.9"), "192.0.2.200", 80, listening);
    ip_batch("link set wan1 down\n");
    go_on(daemon.context, 200ms);
    CHECK(daemon.deaths.reads() == 0);
    CHECK_FALSE(has_failed(ends.client));
}

TEST_CASE("a kernel that makes no events is complained of once") {
    LINKBAL_OWN_NAMESPACE();
    set("netfilter/nf_conntrack_events", '0');
    const CapturedLog log;
    Listening daemon;
    daemon.deaths.settle(mask, facts_now());
    const std::string said = log.text();
    CHECK(said.find("nf_conntrack_events") != std::string::npos);
    CHECK(std::ranges::count(said, '\n') == 1);
}
