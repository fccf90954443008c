// SPDX-License-Identifier: GPL-2.0-or-later
// Clients of an uplink that failed, with real TCP.
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "support/catch.h"
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "client_network.h"
#include "core/netfilter_rules.h"
#include "kernel/conntrack.h"
#include "kernel/resets.h"
#include "kernel/tcp_connections.h"
#include "program.h"
#include "tcp_sockets.h"
#include "util/fd.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

EndedConnections end(bool reset = true) {
    REQUIRE(run({"nft", "reset counter inet observer strays"}).status == 0);
    const auto ended = end_connections("linkbal", first, mask, std::nullopt, reset);
    INFO((ended ? "" : ended.error().message));
    REQUIRE(ended);
    INFO((ended->trouble ? ended->trouble->message : ""));
    CHECK_FALSE(ended->trouble);
    return *ended;
}

// What keeps provocations from the client.
void hush() {
    nft("table inet hush { chain out { type filter hook output priority 0; oifname lan0 tcp flags "
        "& (fin|syn|rst) == fin drop; }; }");
}

} // namespace

TEST_CASE("a client that only receives is reset when its uplink's connections end") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    INFO(client);
    const Fd listening = network.listen(server, 80);
    const Ends ends = connect(network.client_socket(client), server, 80, listening);
    pass(ends.server, ends.client, "before");
    REQUIRE(count_by_mark(mask).value()[first] == 1);
    SECTION("as it is") {}
    SECTION("with a conntrack that takes up nothing in the middle") {
        set("netfilter/nf_conntrack_tcp_loose", '0');
    }
    Network::switch_over();
    const auto ended = end();
    CHECK(ended.announced == 1);
    CHECK(ended.provoked == 1);
    REQUIRE(becomes(ends.client, POLLERR));
    CHECK(error_of(ends.client) == ECONNRESET);
    CHECK(Network::strays() == 0);
    CHECK(count_by_mark(mask).value() == std::map<uint32_t, uint64_t>{});
}

TEST_CASE("a client that sends is reset by its next packet, which leaves by no link") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    hush();
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    INFO(client);
    const Fd listening = network.listen(server, 80);
    const Ends ends = connect(network.client_socket(client), server, 80, listening);
    pass(ends.client, ends.server, "before");
    Network::switch_over();
    end();
    CHECK(error_of(ends.client) == 0);
    SECTION("data") { REQUIRE(send(ends.client.get(), "x", 1, MSG_NOSIGNAL) == 1); }
    SECTION("its end") { REQUIRE(shutdown(ends.client.get(), SHUT_WR) == 0); }
    REQUIRE(becomes(ends.client, POLLERR));
    CHECK(error_of(ends.client) == ECONNRESET);
    CHECK(Network::strays() == 0);
}

TEST_CASE("connections of another uplink lose nothing") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    const Fd listening = network.listen(server, 80);
    const Fd other = network.listen(by_second, 80);
    const Ends dead = connect(network.client_socket(client), server, 80, listening);
    const Ends alive = connect(network.client_socket(client), by_second, 80, other);
    REQUIRE(count_by_mark(mask).value()[second] == 1);
    pass(alive.client, alive.server, "before");
    CHECK(end().announced == 1);
    REQUIRE(becomes(dead.client, POLLERR));
    nft("table inet linkbal { counter beyond { }; chain prerouting { meta l4proto tcp counter name "
        "beyond; }; }");
    pass(alive.client, alive.server, std::string(100000, 'c'));
    pass(alive.server, alive.client, std::string(100000, 's'));
    CHECK(error_of(alive.client) == 0);
    CHECK(Network::packets("linkbal beyond") == 0); // they end the chain at the first rule
    CHECK(count_by_mark(mask).value()[second] == 1);
}

TEST_CASE("a new connection with a dead one's addresses and ports works") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    const Fd listening = network.listen(server, 80);
    {
        const Ends dead = connect(network.client_socket(client, 4000), server, 80, listening);
        Network::switch_over();
        end();
        REQUIRE(becomes(dead.client, POLLERR));
    }
    const std::string dead_sets = nft_list("table inet linkbal");
    REQUIRE(dead_sets.find(client + " . " + server + " . 4000 . 80") != std::string::npos);
    const Ends anew = connect(network.client_socket(client, 4000), server, 80, listening);
    pass(anew.client, anew.server, std::string(100000, 'c'));
    pass(anew.server, anew.client, std::string(100000, 's'));
    CHECK(count_by_mark(mask).value()[second] == 1);
}

TEST_CASE("a host of the LAN that somebody outside had connected to is reset") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    nft("table inet forwards { chain pre { type nat hook prerouting priority dstnat; iifname wan1 "
        "tcp dport 80 dnat ip to 192.0.2.9:8080; iifname wan1 tcp dport 80 dnat ip6 to "
        "[2001:db8:2::9]:8080; }; }");
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    INFO(client);
    Fd listening;
    Fd outside;
    {
        const Visit visit(network.client);
        listening = listener(client, 8080);
    }
    {
        const Visit visit(network.server);
        const bool ipv4 = client.find(':') == std::string::npos;
        outside = bound(ipv4 ? "198.51.100.9" : "2001:db8:1::9", 0);
    }
    const Ends ends = connect(std::move(outside), uplink, 80, listening);
    pass(ends.client, ends.server, "before");
    Network::switch_over();
    CHECK(end().announced == 1);
    REQUIRE(becomes(ends.server, POLLERR));
    CHECK(error_of(ends.server) == ECONNRESET);
    CHECK(Network::strays() == 0);
}

TEST_CASE("without resets connections end in silence") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    const Fd listening = network.listen("192.0.2.200", 80);
    SECTION("not asked for") {
        Network::load();
        const Ends ends = connect(network.client_socket("192.0.2.9"), "192.0.2.200", 80, listening);
        const auto ended = end(false);
        CHECK(ended.announced == 0);
        CHECK(ended.provoked == 0);
        CHECK(error_of(ends.client) == 0);
    }
    SECTION("a table that has none: the trouble is told, the connections end") {
        Network::load(false);
        const Ends ends = connect(network.client_socket("192.0.2.9"), "192.0.2.200", 80, listening);
        const auto ended = end_connections("linkbal", first, mask, std::nullopt, true).value();
        REQUIRE(ended.trouble);
        CHECK(ended.trouble->code == ENOENT);
        CHECK(ended.provoked == 0);
        CHECK(error_of(ends.client) == 0);
    }
    CHECK(count_by_mark(mask).value()[first] == 0);
}

TEST_CASE("the gateway's own connections are not its clients'") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    const Fd listening = network.listen("192.0.2.200", 80);
    const Ends ends = connect(bound("198.51.100.1", 0), "192.0.2.200", 80, listening);
    REQUIRE(count_by_mark(mask).value()[first] == 1);
    CHECK(end().announced == 0);
    CHECK(count_by_mark(mask).value()[first] == 0);
}

TEST_CASE("connections beyond the cap are counted") {
    LINKBAL_OWN_NAMESPACE();
    const Network network;
    Network::load();
    const Fd listening = network.listen("192.0.2.200", 80);
    const Ends one = connect(network.client_socket("192.0.2.9"), "192.0.2.200", 80, listening);
    const Ends two = connect(network.client_socket("192.0.2.9"), "192.0.2.200", 80, listening);
    const auto some = tcp_connections_by_mark(first, mask, 1).value();
    CHECK(some.connections.size() == 1);
    CHECK(some.left_out == 1);
    CHECK(tcp_connections_by_mark(second, mask, 1)->connections.empty());
}

TEST_CASE("ten thousand clients are reset at once") {
    LINKBAL_OWN_NAMESPACE();
    constexpr size_t count = 10000;
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < count + 100) {
        LINKBAL_SKIP("too few files may be open at once");
    }
    const Network network;
    Network::load();
    std::vector<Fd> clients;
    for (const auto& [client, server, by_second, uplink] : ipv4_and_ipv6) {
        const Fd listening = network.listen(server, 80);
        for (size_t i = 0; i < count / 2; ++i) {
            Ends ends = connect(network.client_socket(client), server, 80, listening);
            vanish(std::move(ends.server));
            clients.push_back(std::move(ends.client));
        }
    }
    Network::switch_over();
    const auto start = std::chrono::steady_clock::now();
    const auto ended = end();
    const auto told = std::chrono::steady_clock::now();
    CHECK(ended.announced == count);
    CHECK(ended.provoked == count);
    for (const auto& client : clients) {
        REQUIRE(becomes(client, POLLERR));
    }
    const auto reset = std::chrono::steady_clock::now();
    const auto ms = [](auto span) {
        return std::chrono::duration<double, std::milli>(span).count();
    };
    WARN("10000 connections: ended in " << ms(told - start) << " ms, all clients reset after "
                                        << ms(reset - start) << " ms");
    CHECK(Network::strays() == 0);
}

TEST_CASE("a set that is full is emptied for what ended last") {
    LINKBAL_OWN_NAMESPACE();
    Network::load();
    std::vector<TcpConnection> all(dead_set_size, {IpAddress::parse("192.0.2.9").value(),
                                                   IpAddress::parse("203.0.113.9").value()});
    for (size_t i = 0; i < all.size(); ++i) {
        all[i].client_port = static_cast<uint16_t>(i);
        all[i].server_port = static_cast<uint16_t>(i >> 16U);
    }
    REQUIRE(announce_dead("linkbal", all));
    REQUIRE(announce_dead("linkbal", std::span(all).first(10))); // known: nothing to add
    auto latest = all.front();
    latest.server_port = 443;
    REQUIRE(announce_dead("linkbal", std::span(&latest, 1)));
    const auto listing = nft_list("set inet linkbal dead4");
    CHECK(listing.find("192.0.2.9 . 203.0.113.9 . 0 . 443") != std::string::npos);
    CHECK(listing.find("192.0.2.9 . 203.0.113.9 . 1 . 0") == std::string::npos);
}
