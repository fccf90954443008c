// SPDX-License-Identifier: GPL-2.0-or-later
// Beginnings of connections: what is counted when a server answers, or does not.
#include <cstring>
#include <numeric>

#include <net/if.h>
#include <netinet/in.h>

#include "devices.h"
#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/handshakes.h"
#include "linkbal/hash.h"
#include "support/conntrack_entry.h"
#include "test_instance.h"
#include "two_uplinks.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

constexpr uint16_t client_port = 40000, server_port = 443;

// What a client sends and a server answers, in either family.
Bytes from_client(Family family, uint8_t flags, uint16_t port = client_port) {
    const Bytes tcp = bytes_of(Tcp{.flags = flags, .source = port, .destination = server_port});
    return family == Family::ipv4 ? frame(Ipv4{}, tcp) : frame(Ipv6{}, tcp);
}

Bytes from_server(Family family, uint8_t flags, const Bytes& options = {},
                  uint16_t port = client_port) {
    const auto words = static_cast<uint8_t>(5 + options.size() / 4);
    const Bytes tcp =
        bytes_of(Tcp{.flags = flags, .source = server_port, .destination = port, .words = words}) +
        options;
    return family == Family::ipv4
               ? frame(Ipv4{.source = "203.0.113.20", .destination = "192.0.2.10"}, tcp)
               : frame(Ipv6{.source = "2001:db8:2::20", .destination = "2001:db8:1::10"}, tcp);
}

// A gateway of which "lan0" is the LAN, "wan0" the uplink 1 (which gets every connection) and "wan1"
// the uplink 2.
class Gateway {
  public:
    explicit Gateway(Setup setup = {}) : instance_(one_uplink(std::move(setup))) {
        make_veth("lan0", "host0");
        make_veth("wan0", "router0");
        make_veth("wan1", "router1");
        const std::vector<DatapathUplink> uplinks = {{1, "velox1", "wan0", 1},
                                                     {2, "velox2", "wan1", 1}};
        need(instance_.datapath().set_devices(std::vector<std::string>{"lan0"}, uplinks, {}));
        reader_.emplace(need(HandshakeReader::open("linkbal-test")));
    }

    void out(const Bytes& packet) { (void)instance_.classified_mark(packet); }
    void in(Bytes packet, const std::string& device = "wan0") {
        const Bytes sent = packet;
        __sk_buff context{};
        context.ingress_ifindex = device.empty() ? 0 : if_nametoindex(device.c_str());
        context.ifindex = if_nametoindex("lan0");
        CHECK(instance_.run("lb_count_rx", packet, context) == -1);
        CHECK(packet == sent);
    }

    HandshakeCounters counters(Family family, uint32_t uplink = 1) {
        return need(reader_->read(uplink, family));
    }
    size_t pending() {
        const auto map = need(open_pin("/sys/fs/bpf/linkbal-test/handshakes"));
        return need(map_keys<lb_handshake_key>(map)).size();
    }
    TestInstance& instance() { return instance_; }

  private:
    static Setup one_uplink(Setup setup) {
        setup.uplinks = {{1, 1}};
        return setup;
    }
    TestInstance instance_;
    std::optional<HandshakeReader> reader_;
};

uint32_t sum(const std::array<uint32_t, handshake_slots>& slots) {
    return std::accumulate(slots.begin(), slots.end(), 0U);
}

// Attempts, retries, answers and samples.
void check(const HandshakeCounters& counters, uint64_t attempts, uint64_t retries, uint64_t answers,
           uint64_t samples) {
    CHECK(counters.attempts == attempts);
    CHECK(counters.retries == retries);
    CHECK(counters.answers == answers);
    CHECK(counters.round_trip_samples == samples);
    CHECK((counters.round_trips.count() > 0) == (samples > 0));
    CHECK(sum(counters.slot_attempts) == attempts + retries);
    CHECK(sum(counters.slot_answers) == answers);
}

// The connection of from_client(), as conntrack has it after the first SYN.
void pin(Family family, uint32_t mark) {
    need(family == Family::ipv4 ? add_conntrack({"192.0.2.10", "203.0.113.20", IPPROTO_TCP,
                                                 client_port, server_port, mark})
                                : add_conntrack({"2001:db8:1::10", "2001:db8:2::20", IPPROTO_TCP,
                                                 client_port, server_port, mark}));
}

} // namespace

TEST_CASE("a SYN and its SYN-ACK are an attempt, an answer and a round trip") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    for (const Family family : families) {
        gateway.out(from_client(family, tcp_syn));
        check(gateway.counters(family), 1, 0, 0, 0);
        CHECK(gateway.pending() == 1);
        gateway.in(from_server(family, tcp_syn | tcp_ack, Bytes(40, 1)));
        check(gateway.counters(family), 1, 0, 1, 1);
        CHECK(gateway.counters(family).round_trips < std::chrono::seconds(5));
        CHECK(gateway.pending() == 0);
        gateway.in(from_server(family, tcp_syn | tcp_ack));
        check(gateway.counters(family), 1, 0, 1, 1);
    }
    check(gateway.counters(Family::ipv4, 2), 0, 0, 0, 0);
}

TEST_CASE("the slot is the hash of the server's address") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    const std::pair<Family, const char*> servers[] = {{Family::ipv4, "203.0.113.20"},
                                                      {Family::ipv6, "2001:db8:2::20"}};
    for (const auto& [family, name] : servers) {
        const auto address = IpAddress::parse(name).value();
        lb_address words{};
        std::memcpy(words.word, address.bytes().data(), address.bytes().size());
        const uint32_t slot =
            lb_handshake_slot(static_cast<uint32_t>(family), &words, TestInstance::seed);
        gateway.out(from_client(family, tcp_syn));
        gateway.in(from_server(family, tcp_syn | tcp_ack));
        CHECK(gateway.counters(family).slot_attempts.at(slot) == 1);
        CHECK(gateway.counters(family).slot_answers.at(slot) == 1);
    }
}

TEST_CASE("a server that refuses answers as well") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    for (const Family family : families) {
        gateway.out(from_client(family, tcp_syn));
        gateway.in(from_server(family, tcp_rst | tcp_ack));
        check(gateway.counters(family), 1, 0, 1, 1);
    }
}

TEST_CASE("a SYN that is sent again makes no round trip") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    for (const Family family : families) {
        gateway.out(from_client(family, tcp_syn));
        pin(family, 1 << 16);
        gateway.out(from_client(family, tcp_syn));
        gateway.out(from_client(family, tcp_syn));
        check(gateway.counters(family), 1, 2, 0, 0);
        CHECK(gateway.pending() == 1);
        gateway.in(from_server(family, tcp_syn | tcp_ack));
        check(gateway.counters(family), 1, 2, 1, 0);
    }
}

TEST_CASE("a connection that moves to another uplink begins there") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    gateway.out(from_client(Family::ipv4, tcp_syn));
    pin(Family::ipv4, 2 << 16);
    gateway.out(from_client(Family::ipv4, tcp_syn));
    gateway.in(from_server(Family::ipv4, tcp_syn | tcp_ack), "wan1");
    check(gateway.counters(Family::ipv4, 1), 1, 0, 0, 0);
    check(gateway.counters(Family::ipv4, 2), 1, 0, 1, 1);
}

TEST_CASE("without conntrack lookups a SYN that is sent again stays with its uplink") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway({.conntrack = false});
    gateway.out(from_client(Family::ipv4, tcp_syn));
    const std::vector<WeightedUplink> other = {{2, 1}};
    gateway.instance().assign(assign_buckets({}, other));
    gateway.out(from_client(Family::ipv4, tcp_syn));
    check(gateway.counters(Family::ipv4, 1), 1, 1, 0, 0);
    check(gateway.counters(Family::ipv4, 2), 0, 0, 0, 0);
    gateway.in(from_server(Family::ipv4, tcp_syn | tcp_ack));
    check(gateway.counters(Family::ipv4, 1), 1, 1, 1, 0);
}

TEST_CASE("packets that begin no connection leave nothing") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    for (const Family family : families) {
        gateway.out(from_client(family, tcp_ack));
        gateway.out(from_client(family, tcp_syn | tcp_ack));
        gateway.out(from_client(family, tcp_rst));
    }
    gateway.out(frame(Ipv4{.protocol = IPPROTO_UDP}, bytes_of(Udp{})));
    gateway.out(frame(Ipv4{.destination = "192.0.2.1"}, bytes_of(Tcp{})));
    CHECK(gateway.pending() == 0);
    check(gateway.counters(Family::ipv4), 0, 0, 0, 0);
    check(gateway.counters(Family::ipv6), 0, 0, 0, 0);
}

TEST_CASE("packets that answer nothing change nothing") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    for (const Family family : families) {
        gateway.out(from_client(family, tcp_syn));
        gateway.in(from_server(family, tcp_ack));
        gateway.in(from_server(family, tcp_fin | tcp_ack));
        gateway.in(from_server(family, tcp_syn)); // a simultaneous open, or an inbound connection
        gateway.in(from_server(family, tcp_syn | tcp_ack, {}, client_port + 1));
        gateway.in(from_server(family, tcp_syn | tcp_ack), "wan1");
        gateway.in(from_server(family, tcp_syn | tcp_ack), "");
        gateway.in(from_server(family, tcp_syn | tcp_ack), "lan0");
        check(gateway.counters(family), 1, 0, 0, 0);
    }
    const Bytes answer = bytes_of(
        Tcp{.flags = tcp_syn | tcp_ack, .source = server_port, .destination = client_port});
    const Ipv4 header{.source = "203.0.113.20", .destination = "192.0.2.10"};
    auto udp = header, later = header;
    udp.protocol = IPPROTO_UDP;
    later.fragment = 1;
    gateway.in(frame(udp, answer));
    gateway.in(frame(later, answer));
    gateway.in(frame(header, answer + Bytes(100, 0))); // too long for an answer
    check(gateway.counters(Family::ipv4), 1, 0, 0, 0);
    CHECK(gateway.pending() == 2);
}

TEST_CASE("an answer may end anywhere") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    for (const Family family : families) {
        gateway.out(from_client(family, tcp_syn));
        const Bytes whole = from_server(family, tcp_syn | tcp_ack, Bytes(8, 1));
        const size_t ip = family == Family::ipv4 ? 34 : 54; // BPF_PROG_TEST_RUN takes no less
        for (size_t size = ip; size < ip + 20; ++size) {
            INFO(size << " of " << whole.size() << " bytes");
            gateway.in(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)));
            REQUIRE(gateway.counters(family).answers == 0);
        }
        gateway.in(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(ip + 20)));
        CHECK(gateway.counters(family).answers == 1);
    }
}

TEST_CASE("more connections than the map holds are counted all the same") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    const auto syn = [&](uint32_t client, uint16_t port) {
        const auto address = fmt::format("10.0.{}.{}", client / 250, client % 250 + 1);
        gateway.out(frame(Ipv4{.source = address}, bytes_of(Tcp{.source = port})));
    };
    for (uint32_t i = 0; i < LB_HANDSHAKES + 4000; ++i) {
        syn(i, 5000);
    }
    CHECK(gateway.pending() <= LB_HANDSHAKES);
    CHECK(gateway.counters(Family::ipv4).attempts == LB_HANDSHAKES + 4000);
    gateway.out(from_client(Family::ipv4, tcp_syn));
    gateway.in(from_server(Family::ipv4, tcp_syn | tcp_ack));
    CHECK(gateway.counters(Family::ipv4).answers == 1);
}

// By the kernel's own way, IPv6 because it has no header checksum: a SYN from a LAN device and its
// answer, which is forwarded from "wan0" to that device.
TEST_CASE("handshakes are seen on devices with and without Ethernet header, by TCX and by clsact") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    Tun tun("tun0");
    command("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.all.forwarding=1");
    command("ip link set wan0 address 02:00:00:00:00:01"); // the destination of frame()
    FrameSender host("host0");
    FrameSender router("router0");
    auto& datapath = gateway.instance().datapath();
    const Bytes syn = from_client(Family::ipv6, tcp_syn);
    uint64_t answers = 0;
    for (const bool tcx : attach_modes()) {
        for (const std::string device : {"lan0", "tun0"}) {
            INFO(device << (tcx ? " by TCX" : " by clsact"));
            command("ip -6 route replace 2001:db8:1::/48 dev " + device);
            command("ip -6 neigh replace 2001:db8:1::10 lladdr 02:00:00:00:00:09 dev " + device);
            need(datapath.attach({device, AttachRole::lan_ingress, tcx}));
            need(datapath.attach({device, AttachRole::lan_egress, tcx}));
            device == "lan0" ? host.send(syn) : tun.receive({syn.begin() + 14, syn.end()});
            REQUIRE(eventually([&] { return gateway.pending() == 1; }));
            router.send(from_server(Family::ipv6, tcp_syn | tcp_ack));
            ++answers;
            CHECK(eventually([&] { return gateway.counters(Family::ipv6).answers == answers; }));
            check(gateway.counters(Family::ipv6), answers, 0, answers, answers);
            need(datapath.detach({device, AttachRole::lan_ingress, tcx}));
            need(datapath.detach({device, AttachRole::lan_egress, tcx}));
        }
    }
}

TEST_CASE("an id that another uplink gets counts from zero, in an epoch of its own") {
    LINKBAL_NEED_NAMESPACES();
    Gateway gateway;
    auto& datapath = gateway.instance().datapath();
    const auto epoch = [] {
        const auto map = need(open_pin("/sys/fs/bpf/linkbal-test/epochs"));
        return need(map_lookup<uint32_t>(map, uint32_t{1})).value();
    };
    std::vector<DatapathUplink> uplinks = {{1, "velox1", "wan0", 1}};
    need(datapath.set_uplinks(uplinks));
    gateway.out(from_client(Family::ipv4, tcp_syn));
    const uint32_t first = epoch();
    uplinks[0].weight = 2;
    need(datapath.set_uplinks(uplinks));
    CHECK(epoch() == first);
    check(gateway.counters(Family::ipv4), 1, 0, 0, 0);
    uplinks[0].name = "fibra";
    need(datapath.set_uplinks(uplinks));
    CHECK(epoch() == first + 1);
    check(gateway.counters(Family::ipv4), 0, 0, 0, 0);
    need(datapath.end_epoch(1));
    CHECK(epoch() == first + 2);
}
