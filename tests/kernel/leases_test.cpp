// SPDX-License-Identifier: GPL-2.0-or-later
// Leases end as soon as something has changed on which they may depend, and not because of anything
// else.
#include "daemon/leases.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>
#include <thread>

#include "support/catch.h"
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "client_network.h"
#include "flow_cache.h"
#include "kernel/conntrack.h"
#include "kernel/flow_table.h"
#include "kernel/interfaces.h"
#include "kernel/routes.h"
#include "loop.h"
#include "route_burst.h"
#include "two_links.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

constexpr uint32_t no_uplink = LB_NO_UPLINK;

NetlinkSocket open_socket() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    REQUIRE(socket);
    return *std::move(socket);
}

Leases::Scope scope_of(const std::map<std::string, uint32_t>& devices) {
    auto socket = open_socket();
    const InterfaceNames names(read_interfaces(socket).value());
    Leases::Scope scope{.mark_mask = mask, .uplinks = {}};
    for (const auto& [device, uplink] : devices) {
        scope.uplinks[names.index(device)] = uplink;
    }
    return scope;
}

lb_flow alive() {
    lb_flow flow{};
    flow.lease = {0x7fffffff, 1, 0};
    return flow;
}

// Which epochs have ended: of every uplink, of some of these, or of none.
enum class Ended : uint8_t { none, first, second, all };

std::ostream& operator<<(std::ostream& out, Ended ended) {
    constexpr std::array words{"none", "first", "second", "all"};
    return out << words.at(static_cast<size_t>(ended));
}

// A daemon's part that ends leases. The network has to be there before, with lan0, wan1 and wan2.
struct Watch {
    FlowCache cache;
    asio::io_context context;
    NetlinkSocket own = open_socket(); // the daemon's
    Leases leases{context, cache.directory(), own.port()};

    explicit Watch(bool fast_path = true) : cache(fast_path) {
        settle();
        after([] {}); // addresses and their like settle; nothing was known before
    }
    void settle() {
        leases.settle(scope_of({{"lan0", no_uplink}, {"wan1", 1}, {"wan2", 2}}), false);
    }
    // What ends until nothing has happened for a while, twice the shortest pause.
    Ended after(const std::function<void()>& act) {
        const std::array before{cache.epoch(1), cache.epoch(2), cache.epoch(255)};
        act();
        size_t seen = 0;
        do {
            seen = leases.counts().wakeups + leases.counts().epochs;
            context.restart();
            context.run_for(120ms);
        } while (seen != leases.counts().wakeups + leases.counts().epochs);
        if (cache.epoch(255) != before[2]) {
            return Ended::all;
        }
        return cache.epoch(1) != before[0]   ? Ended::first
               : cache.epoch(2) != before[1] ? Ended::second
                                             : Ended::none;
    }
    Ended after(const std::string& words) {
        return after([&] { ip(words); });
    }
};

// Nothing is to come of itself, later.
void be_quiet() {
    REQUIRE(run({"sysctl", "-qw", "net.ipv6.conf.default.addr_gen_mode=1"}).status == 0);
}

// lan0, wan1, wan2 and one that is not ours.
void make_devices() {
    be_quiet();
    make_network({"lan0", "wan1", "wan2", "other"});
    ip("addr add 192.0.2.1/24 dev lan0");
    ip("addr add 198.51.101.2/24 dev wan1");
    ip("addr add 2001:db8:1::2/64 nodad dev wan1");
}

void conntrack(std::initializer_list<std::string> words) {
    const auto outcome = run(words);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
}

size_t descriptors() {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                             std::filesystem::directory_iterator()));
}

} // namespace

TEST_CASE(
    "a connection that conntrack loses early loses the fast path, both ways, and no other does") {
    LINKBAL_OWN_NAMESPACE();
    be_quiet();
    const Network network;
    Network::load();
    Watch watch;
    const auto& [client, server, by_second, uplink] =
        GENERATE(from_range(ipv4_and_ipv6.begin(), ipv4_and_ipv6.end()));
    const auto way = GENERATE("delete", "flush", "link");
    INFO(client << " " << way);
    const Fd listening = network.listen(server, 80);
    const Ends ends = connect(network.client_socket(client, 4000), server, 80, listening);
    const std::array flows{tuple_of(client, 4000, server, 80), tuple_of(server, 80, uplink, 4000)};
    const std::array others{tuple_of(client, 4001, server, 80), tuple_of(server, 80, uplink, 4001),
                            tuple_of(client, 4000, server, 80, 17)};
    for (const FlowTuple& tuple : flows) {
        watch.cache.put(tuple, alive());
    }
    for (const FlowTuple& tuple : others) {
        watch.cache.put(tuple, alive());
    }
    const std::string family = client.find(':') == std::string::npos ? "ipv4" : "ipv6";
    const Ended ended = watch.after([&] {
        if (way == std::string("delete")) {
            conntrack({"conntrack", "-D", "-f", family, "-p", "tcp", "--sport", "4000"});
        } else if (way == std::string("flush")) {
            conntrack({"conntrack", "-F"});
        } else {
            ip("addr flush dev wan1 scope global"); // masquerading's own
        }
    });
    CHECK(ended == (way == std::string("link") ? Ended::first : Ended::none));
    // Masquerading deletes those of IPv6 a little later.
    CHECK(run_until(watch.context, [&] { return watch.leases.counts().flows == 2; }));
    for (const FlowTuple& tuple : flows) {
        CHECK_FALSE(watch.cache.is_alive(tuple));
    }
    for (const FlowTuple& tuple : others) {
        CHECK(watch.cache.is_alive(tuple));
    }
}

TEST_CASE("UDP loses the fast path with its entry, if it has been answered") {
    LINKBAL_OWN_NAMESPACE();
    be_quiet();
    const Network network;
    Network::load();
    Watch watch;
    const bool answered = GENERATE(true, false);
    const auto bind_udp = [](const NetworkNamespace& there, uint32_t address, uint16_t port) {
        const Visit visit(there);
        Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
        const sockaddr_in at{AF_INET, htons(port), {htonl(address)}, {}};
        REQUIRE(bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        return socket;
    };
    const auto send = [](const Fd& from, uint32_t address, uint16_t port) {
        const sockaddr_in to{AF_INET, htons(port), {htonl(address)}, {}};
        REQUIRE(sendto(from.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
                1);
    };
    const Fd client = bind_udp(network.client, 0xc0000209, 5000);
    const Fd server = bind_udp(network.server, 0xc00002c8, 53);
    send(client, 0xc00002c8, 53);
    if (answered) {
        send(server, 0xc6336401, 5000);
    }
    const auto flow = tuple_of("192.0.2.9", 5000, "192.0.2.200", 53, 17);
    watch.cache.put(flow, alive());
    const size_t wakeups = watch.leases.counts().conntrack_wakeups;
    CHECK(watch.after([] { conntrack({"conntrack", "-D", "-p", "udp"}); }) == Ended::none);
    CHECK(watch.cache.is_alive(flow) != answered);
    CHECK(watch.leases.counts().conntrack_wakeups == wakeups + (answered ? 1 : 0));
}

TEST_CASE("connections that end as connections do wake nobody who watches flows") {
    LINKBAL_OWN_NAMESPACE();
    be_quiet();
    const Network network;
    Network::load();
    Watch watch;
    for (const char* state : {"established", "time_wait", "close", "last_ack", "fin_wait"}) {
        set(std::string("netfilter/nf_conntrack_tcp_timeout_") + state, '1');
    }
    EventSocket all = EventSocket::open(NETLINK_NETFILTER, {NFNLGRP_CONNTRACK_DESTROY}).value();
    const Fd listening = network.listen("192.0.2.200", 80);
    const size_t wakeups = watch.leases.counts().conntrack_wakeups;
    for (int i = 0; i < 200; ++i) {
        // The same port again: a SYN on an entry that is closed replaces it, with time left.
        const uint16_t port = i % 2 == 0 ? 4000 : 0;
        Ends ends = connect(network.client_socket("192.0.2.9", port), "192.0.2.200", 80, listening);
        const linger now{1, 0};
        if (i % 3 != 0) {
            setsockopt(ends.client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        } else {
            setsockopt(ends.server.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
            ends.server.reset();
        }
    }
    const auto limit = std::chrono::steady_clock::now() + 10s;
    while (!count_by_mark(mask).value().empty()) { // expired entries go when they are met
        REQUIRE(std::chrono::steady_clock::now() < limit);
        std::this_thread::sleep_for(20ms);
    }
    CHECK(watch.after([] {}) == Ended::none);
    CHECK(watch.leases.counts().conntrack_wakeups == wakeups);
    size_t ends = 0;
    REQUIRE(all.drain([&](const nlmsghdr&) { ++ends; }));
    CHECK(ends > 100); // a port that is used again may have its entry again
}

TEST_CASE("a change of nftables by somebody else ends all leases, one of ours doesn't") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    Watch watch;
    CHECK(watch.after([] { nft("table inet other { set s { type ipv4_addr; }; }"); }) ==
          Ended::all);
    CHECK(watch.after([] { nft("add element inet other s { 192.0.2.1 }"); }) == Ended::all);
    CHECK(watch.after([] { Network::load(); }) == Ended::none);
    CHECK(watch.after([] { REQUIRE(linkbal::remove(std::string("linkbal"))); }) == Ended::none);
    CHECK(watch.after([] { nft("delete table inet other"); }) == Ended::all);
}

TEST_CASE("routes, nexthops, rules and addresses of others end leases") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    Watch watch;
    CHECK(watch.after("route add 203.0.113.0/24 via 198.51.101.1") == Ended::all);
    CHECK(watch.after("route del 203.0.113.0/24") == Ended::first); // who used it used wan1
    CHECK(watch.after("-6 route add 2001:db8:77::/48 via 2001:db8:1::1") == Ended::all);
    CHECK(watch.after("-6 route del 2001:db8:77::/48") == Ended::first);
    CHECK(watch.after("route add blackhole 203.0.113.0/24") == Ended::all);
    CHECK(watch.after("route del blackhole 203.0.113.0/24") == Ended::all);
    CHECK(watch.after("rule add from 192.0.2.9 lookup 77") == Ended::all);
    CHECK(watch.after("-6 rule add from 2001:db8::9 lookup 77") == Ended::all);
    CHECK(watch.after("rule del from 192.0.2.9 lookup 77") == Ended::all);
    CHECK(watch.after("nexthop add id 7 via 198.51.101.1 dev wan1") == Ended::all);
    CHECK(watch.after("route add 203.0.113.0/24 nhid 7") == Ended::all);
    CHECK(watch.after("nexthop replace id 7 via 198.51.101.9 dev wan1") == Ended::all);
    CHECK(watch.after("addr add 192.0.2.77/32 dev lan0") == Ended::all);
    CHECK(watch.after("addr add 2001:db8:1::77/128 nodad dev wan1") == Ended::all);
    // As a DHCP client or a router advertisement renews it.
    CHECK(watch.after("addr change 2001:db8:1::77/128 dev wan1 valid_lft 900 preferred_lft 900") ==
          Ended::none);
    CHECK(watch.after("addr change 192.0.2.77/32 dev lan0 valid_lft 900 preferred_lft 900") ==
          Ended::none);
    CHECK(watch.after("addr del 192.0.2.77/32 dev lan0") == Ended::all);
    CHECK(watch.after("link set other mtu 1400") == Ended::none);
}

TEST_CASE("routes and rules of our own end no leases") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    Watch watch;
    const InterfaceNames names(read_interfaces(watch.own).value());
    Rule rule;
    rule.priority = 10003;
    rule.table = 30;
    rule.input_interface = "lan0";
    const Route route{.table = 30,
                      .destination = Prefix::any(Family::ipv4),
                      .hops = {{IpAddress::parse("198.51.101.1"), "wan1", 1}},
                      .preferred_source = std::nullopt,
                      .metric = 0};
    NetlinkSocket other = open_socket();
    for (NetlinkSocket* socket : {&watch.own, &other}) {
        const bool ours = socket == &watch.own;
        const auto change = [&](const NetlinkMessage& message) {
            return watch.after([&] { REQUIRE(socket->request(message, "change")); });
        };
        CHECK(change(rule_message(true, rule)) == (ours ? Ended::none : Ended::all));
        CHECK(change(*route_message(RouteOperation::add, route, names)) ==
              (ours ? Ended::none : Ended::all));
        CHECK(change(*route_message(RouteOperation::remove, route, names)) ==
              (ours ? Ended::none : Ended::first));
        CHECK(change(rule_message(false, rule)) == (ours ? Ended::none : Ended::all));
    }
}

TEST_CASE("a neighbour with another link-layer address ends leases, one in another state doesn't") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    ip("neigh add 192.0.2.9 dev lan0 lladdr 02:00:00:00:00:09 nud reachable"); // before we listen
    Watch watch;
    const auto neighbour = [&](const std::string& words) { return watch.after("neigh " + words); };
    CHECK(neighbour("replace 192.0.2.9 dev lan0 lladdr 02:00:00:00:00:09 nud stale") ==
          Ended::none);
    CHECK(neighbour("replace 192.0.2.9 dev lan0 lladdr 02:00:00:00:00:09 nud probe") ==
          Ended::none);
    CHECK(neighbour("replace 192.0.2.9 dev lan0 lladdr 02:00:00:00:00:0a nud reachable") ==
          Ended::all);
    CHECK(neighbour("replace 192.0.2.10 dev lan0 lladdr 02:00:00:00:00:0b nud stale") ==
          Ended::none); // a new one
    CHECK(neighbour("del 192.0.2.10 dev lan0") == Ended::all);
    CHECK(neighbour("replace 198.51.101.1 dev wan1 lladdr 02:00:00:00:00:01 nud stale") ==
          Ended::none);
    CHECK(neighbour("replace 198.51.101.1 dev wan1 lladdr 02:00:00:00:00:02 nud stale") ==
          Ended::first);
    CHECK(neighbour("replace 2001:db8:1::1 dev wan1 lladdr 02:00:00:00:00:01 nud stale") ==
          Ended::none);
    CHECK(neighbour("replace 2001:db8:1::1 dev wan1 lladdr 02:00:00:00:00:02 nud stale") ==
          Ended::first);
    CHECK(neighbour("add 192.0.2.9 dev other lladdr 02:00:00:00:00:01 nud stale") == Ended::none);
    CHECK(neighbour("replace 192.0.2.9 dev other lladdr 02:00:00:00:00:02 nud stale") ==
          Ended::none);
}

TEST_CASE("a neighbour that has never answered ends no leases, one that answers no more does") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    for (const char* speed : {"retrans_time_ms=10", "base_reachable_time_ms=50",
                              "delay_first_probe_time=0", "ucast_solicit=1", "mcast_solicit=1"}) {
        REQUIRE(run({"sysctl", "-qw", std::string("net.ipv4.neigh.lan0.") + speed}).status == 0);
    }
    Watch watch;
    const auto ask = [&](const std::string& address) {
        return watch.after([&] { (void)run({"ping", "-c1", "-W1", address}); });
    };
    CHECK(ask("192.0.2.66") == Ended::none);
    CHECK(watch.after("neigh replace 192.0.2.9 dev lan0 lladdr 02:00:00:00:00:09 nud stale") ==
          Ended::none);
    CHECK(ask("192.0.2.9") == Ended::all);
}

TEST_CASE("a burst of changes counts at once and once more, not a thousand times") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    Watch watch;
    const size_t before = watch.leases.counts().epochs;
    const auto begin = Clock::now();
    for (int i = 0; i < 100; ++i) {
        ip(fmt::format("route add 10.1.{}.0/24 dev lan0", i));
        watch.context.restart();
        watch.context.poll();
        if (i == 0) {
            CHECK(watch.leases.counts().epochs == before + 1);
        }
    }
    watch.after([] {});
    const auto pauses = static_cast<size_t>((Clock::now() - begin) / LeaseEnds::shortest_pause);
    CHECK(watch.leases.counts().epochs - before >= 2);
    CHECK(watch.leases.counts().epochs - before <= pauses + 1);
}

TEST_CASE("the more flows there are, the longer the next change is put off, and it comes") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    Watch watch;
    const auto clock = TickClock::create(2);
    lb_flow flow{};
    flow.lease = {clock->now().value() + 60000, 1, 0};
    size_t flows = 0;
    for (uint16_t port = 1; port <= 5000; ++port) { // fills all places
        watch.cache.put(tuple_of("192.0.2.9", port, "203.0.113.7", 443, 17), flow, port % LB_WAYS);
    }
    flows = FlowTable::open(watch.cache.directory()).value()->count_flows(clock->now().value());
    REQUIRE(flows > 400);
    // 512 places are worth 31 ms: two families of them would not be above the shortest pause.
    const auto pause =
        std::max<Clock::duration>(flows * LeaseEnds::pause_per_flow, LeaseEnds::shortest_pause);
    const size_t before = watch.leases.counts().epochs;
    ip("route add 10.1.0.0/24 dev lan0");
    REQUIRE(run_until(watch.context, [&] { return watch.leases.counts().epochs == before + 1; }));
    const auto first_end = Clock::now();
    ip("route add 10.2.0.0/24 dev lan0");
    REQUIRE(run_until(watch.context, [&] { return watch.leases.counts().epochs == before + 2; }));
    CHECK(Clock::now() - first_end >= pause - 5ms);
}

TEST_CASE("events that are lost end all leases, and others are still heard") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    Watch watch;
    CHECK(watch.after([] { add_routes(20000); }) == Ended::all);
    CHECK(watch.after("neigh replace 192.0.2.9 dev lan0 lladdr 02:00:00:00:00:09 nud stale") ==
          Ended::none);
    CHECK(watch.after("neigh replace 192.0.2.9 dev lan0 lladdr 02:00:00:00:00:0a nud stale") ==
          Ended::all);
}

TEST_CASE("without a fast path nobody listens") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    const size_t before = descriptors();
    {
        Watch watch(false);
        CHECK_FALSE(watch.leases.is_listening());
        const size_t without = descriptors();
        CHECK(watch.after("route add 203.0.113.0/24 via 198.51.101.1") == Ended::none);
        CHECK(watch.leases.counts().wakeups == 0);
        watch.settle();
        CHECK(descriptors() == without);
    }
    CHECK(descriptors() == before);
}

TEST_CASE("when programs are loaded anew their maps are taken, and what was missed counts") {
    LINKBAL_OWN_NAMESPACE();
    make_devices();
    Watch watch;
    const auto settle = [&](bool reloaded) {
        return watch.after([&] {
            watch.leases.settle(scope_of({{"lan0", no_uplink}, {"wan1", 1}, {"wan2", 2}}),
                                reloaded);
        });
    };
    CHECK(settle(false) == Ended::none);
    CHECK(settle(true) == Ended::all);
    CHECK(watch.after("route add 203.0.113.0/24 via 198.51.101.1") == Ended::all);
}
