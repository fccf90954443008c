// SPDX-License-Identifier: GPL-2.0-or-later
// How connections are shared out.
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include <fmt/format.h>
#include <netinet/in.h>

#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using Uplinks = std::vector<WeightedUplink>;

constexpr uint32_t connections = 10000;

Bytes syn(const std::string& client, const std::string& server, uint32_t port) {
    const Bytes tcp = bytes_of(Tcp{.source = static_cast<uint16_t>(1024 + port)});
    return client.find(':') == std::string::npos
               ? frame(Ipv4{.source = client, .destination = server}, tcp)
               : frame(Ipv6{.source = client, .destination = server}, tcp);
}

// The picks of a run of connections, by uplink id.
template <typename Connection>
std::array<uint32_t, LB_UPLINK_IDS> picks(TestInstance& instance, Connection connection) {
    std::array<uint32_t, LB_UPLINK_IDS> counts{};
    for (uint32_t i = 0; i < connections; ++i) {
        ++counts.at(instance.uplink_of(instance.classified_mark(connection(i))));
    }
    return counts;
}

// Every share within three standard deviations of its weight.
void check_shares(const std::array<uint32_t, LB_UPLINK_IDS>& counts, const Uplinks& uplinks) {
    const double total = std::accumulate(uplinks.begin(), uplinks.end(), 0.0,
                                         [](double sum, auto& u) { return sum + u.weight; });
    for (const auto& uplink : uplinks) {
        const double share = uplink.weight / total;
        const double deviation = std::sqrt(connections * share * (1 - share));
        INFO("uplink " << uplink.id << " got " << counts.at(uplink.id));
        CHECK(std::abs(counts.at(uplink.id) - connections * share) < 3 * deviation);
    }
}

const std::vector<Uplinks> weightings = {
    {{1, 1}, {2, 1}}, {{1, 3}, {2, 1}}, {{1, 5}, {2, 3}, {3, 2}}};

} // namespace

TEST_CASE("10,000 connections of many clients to many servers follow the weights") {
    LINKBAL_NEED_NAMESPACES();
    for (const auto& uplinks : weightings) {
        TestInstance instance({.uplinks = uplinks});
        std::mt19937 random(1);
        check_shares(picks(instance,
                           [&](uint32_t i) {
                               return syn(fmt::format("192.0.2.{}", 1 + random() % 250),
                                          fmt::format("198.51.100.{}", 1 + random() % 250), i);
                           }),
                     uplinks);
        check_shares(picks(instance,
                           [&](uint32_t i) {
                               return syn(fmt::format("2001:db8:1::{:x}", 1 + random() % 250),
                                          fmt::format("2001:db8:2::{:x}", 1 + random() % 250), i);
                           }),
                     uplinks);
    }
}

TEST_CASE("10,000 connections that differ by their ports only follow the weights") {
    LINKBAL_NEED_NAMESPACES();
    for (const auto& uplinks : weightings) {
        TestInstance instance({.uplinks = uplinks});
        check_shares(picks(instance,
                           [](uint32_t i) { return syn("192.0.2.10", "203.0.113.20", i % 60000); }),
                     uplinks);
    }
}

TEST_CASE("sticky modes share out what they stick to") {
    LINKBAL_NEED_NAMESPACES();
    const Uplinks uplinks = {{1, 3}, {2, 1}};
    TestInstance instance({.hash = HashMode::source, .uplinks = uplinks});
    check_shares(picks(instance,
                       [](uint32_t i) {
                           return syn(fmt::format("10.1.{}.{}", i >> 8, i & 255), "203.0.113.20",
                                      1);
                       }),
                 uplinks);
}

TEST_CASE("two connections of a client to a server never share one of two equal links") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    for (uint32_t host = 1; host < 200; ++host) {
        const auto client = fmt::format("192.0.2.{}", host);
        const auto first = instance.classified_mark(syn(client, "203.0.113.20", 1));
        const auto second = instance.classified_mark(syn(client, "203.0.113.20", 2));
        CHECK(first != second);
    }
}

TEST_CASE("a turn is taken by what begins a connection and by nothing else") {
    LINKBAL_NEED_NAMESPACES();
    TestInstance instance;
    const auto first = instance.classified_mark(syn("192.0.2.10", "203.0.113.20", 1));
    (void)instance.classified_mark(frame(Ipv4{}, bytes_of(Tcp{.flags = tcp_ack})));
    (void)instance.classified_mark(frame(Ipv4{.protocol = IPPROTO_ICMP}, Bytes(8, 0)));
    (void)instance.classified_mark(frame(Ipv4{.fragment = 0x2000}, bytes_of(Tcp{})));
    (void)instance.classified_mark(frame(Ipv4{.protocol = IPPROTO_UDP}, bytes_of(Udp{})));
    CHECK(instance.classified_mark(syn("192.0.2.10", "203.0.113.20", 2)) != first);
    CHECK(instance.classified_mark(syn("192.0.2.10", "203.0.113.20", 3)) == first);
}

TEST_CASE("sticky modes stick") {
    LINKBAL_NEED_NAMESPACES();
    struct Row {
        HashMode mode;
        bool one_client; // else one server
        bool one_server;
    };
    for (const Row row :
         {Row{HashMode::source, true, false}, Row{HashMode::destination, false, true},
          Row{HashMode::source_destination, true, true}}) {
        TestInstance instance({.hash = row.mode});
        const auto mark_of = [&](uint32_t i) {
            return instance.classified_mark(
                syn(fmt::format("192.0.2.{}", row.one_client ? 10 : i + 1),
                    fmt::format("203.0.113.{}", row.one_server ? 20 : i + 1), i));
        };
        const auto first = mark_of(0);
        for (uint32_t i = 1; i < 100; ++i) {
            REQUIRE(mark_of(i) == first);
        }
    }
}
