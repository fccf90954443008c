// SPDX-License-Identifier: GPL-2.0-or-later
// Conntrack's connections with what the flow cache knows of them.
#include "kernel/open_connections.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "devices.h"
#include "kernel/bpf_map.h"
#include "kernel/flow_table.h"
#include "support/conntrack_entry.h"
#include "support/plain_settings.h"
#include "test_instance.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

constexpr const char* instance = "linkbal-test";
constexpr uint32_t velox1 = 0x00010000;
constexpr uint16_t ethernet_slot = 3;
constexpr uint16_t raw_slot = 4;

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

FlowTuple tuple(const char* source, uint16_t from, const char* destination, uint16_t to,
                uint8_t protocol = IPPROTO_TCP) {
    return {address(source), address(destination), from, to, protocol};
}

// A datapath with a fast path whose cache is one bucket a family, filled by hand.
class Gateway {
  public:
    Gateway() {
        auto settings = plain_settings(embedded_object_id());
        settings.hash_seed = 1;
        settings.fast_path = 1;
        settings.ticks_per_second = 250;
        settings.tcp_timeout = 432000;
        settings.tick_shift = 0;
        object_ = need(load_object(settings, {}));
        need(datapath_.install(object_));
        const std::vector<DatapathUplink> uplinks{{1, "velox1", "", 1}, {2, "velox2", "", 1}};
        need(datapath_.set_uplinks(uplinks));
        for (const Family family : families) {
            need(datapath_.set_buckets(
                family, assign_buckets({}, std::vector<WeightedUplink>{{1, 1}, {2, 1}})));
        }
        lb_interface interface{};
        interface.ethernet = 1;
        need(map_update(object_.maps.at("interfaces"), uint32_t{ethernet_slot}, interface));
        interface.ethernet = 0;
        need(map_update(object_.maps.at("interfaces"), uint32_t{raw_slot}, interface));
    }
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;
    ~Gateway() { CHECK(datapath_.remove()); }

    void end_epoch(uint32_t id) { need(datapath_.end_epoch(id)); }
    // Packets that come like that have a lease for a while, or their lease has run out.
    void cache(const FlowTuple& from, lb_flow flow, bool running = true) {
        const uint32_t now = TickClock::create(0).value().now().value();
        const auto epoch = need(map_lookup<uint32_t>(object_.maps.at("epochs"), uint32_t{1}));
        flow.lease = {running ? now + 60000 : now - 1, 1, static_cast<uint16_t>(epoch.value())};
        flow.version.generation = 2;
        flow.protocol = from.protocol;
        flow.uplink = 1;
        from.source.family() == Family::ipv4 ? put<lb_flow4>("flows_ipv4", from, flow)
                                             : put<lb_flow6>("flows_ipv6", from, flow);
    }

  private:
    template <typename Entry>
    void put(const char* map, const FlowTuple& from, const lb_flow& flow) {
        Entry entry{};
        entry.flow = flow;
        std::memcpy(&entry.from.source, from.source.bytes().data(), from.source.bytes().size());
        std::memcpy(&entry.from.destination, from.destination.bytes().data(),
                    from.destination.bytes().size());
        entry.from.source_port = htons(from.source_port);
        entry.from.destination_port = htons(from.destination_port);
        need(map_update(object_.maps.find(map)->second, next_++ % LB_WAYS, entry));
    }
    Datapath datapath_{instance};
    BpfObject object_;
    uint32_t next_ = 0;
};

lb_flow counted(uint64_t packets, uint64_t bytes, uint16_t ingress) {
    lb_flow flow{};
    flow.packets = packets;
    flow.bytes = bytes;
    flow.ingress = ingress;
    return flow;
}

OpenConnections all(const std::optional<std::string>& uplink = std::nullopt) {
    return need(read_open_connections(instance, uplink));
}

OpenConnection only(const OpenConnections& open) {
    REQUIRE(open.connections.size() == 1);
    return open.connections.front();
}

// As its opener sees it, with NAT.
void open_tcp(uint16_t port = 40000, uint32_t mark = velox1) {
    need(add_conntrack({.source = "192.0.2.9",
                        .destination = "203.0.113.7",
                        .protocol = IPPROTO_TCP,
                        .source_port = port,
                        .mark = mark,
                        .nat_source = "198.51.100.1",
                        .nat_port = static_cast<uint16_t>(port + 1)}));
}

} // namespace

TEST_CASE("a connection is told as its opener and as the other end see it") {
    LINKBAL_NEED_NAMESPACES();
    const Gateway gateway;
    open_tcp();
    const OpenConnection connection = only(all());
    CHECK(connection.opener == tuple("192.0.2.9", 40000, "203.0.113.7", 443));
    CHECK(connection.nat_source == address("198.51.100.1"));
    CHECK(connection.nat_port == 40001);
    CHECK(connection.uplink == 1);
    CHECK(connection.state == "established");
    CHECK_FALSE(connection.offloaded);
    CHECK(all().uplinks == std::map<uint32_t, std::string>{{1, "velox1"}, {2, "velox2"}});
}

TEST_CASE("the flow cache's packets are counted with conntrack's, in bytes of IP") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    open_tcp();
    gateway.cache(tuple("192.0.2.9", 40000, "203.0.113.7", 443),
                  counted(10, 10 * 114, ethernet_slot));
    gateway.cache(tuple("203.0.113.7", 443, "198.51.100.1", 40001), counted(5, 500, raw_slot));
    gateway.cache(tuple("192.0.2.9", 40009, "203.0.113.7", 443), counted(7, 777, raw_slot));
    const OpenConnection connection = only(all());
    CHECK(connection.packets == 15);
    CHECK(connection.bytes == 1500);
    CHECK(connection.offloaded);
}

TEST_CASE("what conntrack has counted is in it") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    (void)output_of(
        "ip link set lo up; sysctl -qw net.netfilter.nf_conntrack_acct=1; nft add table "
        "ip t; nft 'add chain ip t o { type filter hook output priority 0; }'; nft add "
        "rule ip t o udp dport 1001 ct mark set 0x10000");
    const Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
    const sockaddr_in from{AF_INET, htons(1000), {htonl(INADDR_LOOPBACK)}, {}};
    const sockaddr_in to{AF_INET, htons(1001), {htonl(INADDR_LOOPBACK)}, {}};
    REQUIRE(bind(socket.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0);
    const std::array<char, 100> data{};
    REQUIRE(sendto(socket.get(), data.data(), data.size(), 0,
                   reinterpret_cast<const sockaddr*>(&to), sizeof to) == 100);
    CHECK(only(all()).packets == 1);
    CHECK(only(all()).bytes == 128);
    CHECK(only(all()).state == "unreplied");
    gateway.cache(tuple("127.0.0.1", 1000, "127.0.0.1", 1001, IPPROTO_UDP),
                  counted(2, 2 * 142, ethernet_slot));
    CHECK(only(all()).packets == 3);
    CHECK(only(all()).bytes == 128 + 2 * 128);
}

TEST_CASE("a connection is offloaded while a lease of it is valid, both families") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    need(add_conntrack({.source = "2001:db8:2::9",
                        .destination = "2001:db8:9::9",
                        .protocol = IPPROTO_UDP,
                        .mark = velox1}));
    const auto back = tuple("2001:db8:9::9", 443, "2001:db8:2::9", 40000, IPPROTO_UDP);
    CHECK_FALSE(only(all()).offloaded);
    gateway.cache(back, counted(1, 100, raw_slot), false);
    CHECK_FALSE(only(all()).offloaded); // it has run out
    CHECK(only(all()).packets == 1);    // and was there nevertheless
    SECTION("until its epoch ends") {
        for (uint32_t i = 1; i < LB_WAYS; ++i) {
            gateway.cache(tuple("2001:db8::", 1, "2001:db8::", 1), {}); // on to the first place
        }
        gateway.cache(back, counted(1, 100, raw_slot));
        CHECK(only(all()).offloaded);
        CHECK(only(all()).state == "replied");
        gateway.end_epoch(1);
        CHECK_FALSE(only(all()).offloaded);
    }
}

TEST_CASE("only connections with our bits are told, or those of one uplink by name or id") {
    LINKBAL_NEED_NAMESPACES();
    const Gateway gateway;
    open_tcp(1, 0x01010001); // others' bits too
    open_tcp(2, 0x00020000);
    open_tcp(3, 0x00090000); // an uplink that is gone
    open_tcp(4, 0x0b000007); // others' alone
    const auto ports = [](const std::optional<std::string>& uplink) {
        std::vector<uint16_t> found;
        for (const OpenConnection& connection : all(uplink).connections) {
            found.push_back(connection.opener.source_port);
        }
        std::ranges::sort(found);
        return found;
    };
    CHECK(ports(std::nullopt) == std::vector<uint16_t>{1, 2, 3});
    CHECK(ports("velox1") == std::vector<uint16_t>{1});
    CHECK(ports("velox2") == std::vector<uint16_t>{2});
    CHECK(ports("9") == std::vector<uint16_t>{3});
    CHECK(ports("200").empty());
    for (const char* name : {"velox3", "0", "256", "1x", ""}) {
        const auto refused = read_open_connections(instance, name);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message == fmt::format("there is no uplink {}", name));
    }
}

TEST_CASE("where nothing is loaded there are no connections") {
    LINKBAL_NEED_NAMESPACES();
    CHECK(all().connections.empty());
}
