// SPDX-License-Identifier: GPL-2.0-or-later
// What changes in the kernel, and how soon somebody is to look.
#include "daemon/kernel_events.h"

#include <algorithm>
#include <optional>

#include "captured_log.h"
#include "kernel/interfaces.h"
#include "kernel/routes.h"
#include "loop.h"
#include "route_burst.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

enum class Heard : uint8_t { nothing, soon, at_once, moved };

std::ostream& operator<<(std::ostream& out, Heard heard) {
    constexpr std::array words{"nothing", "soon", "at once", "moved"};
    return out << words.at(static_cast<size_t>(heard));
}

// wan1 is ours, other is not.
struct Lab {
    asio::io_context context;
    NetlinkSocket own = open_socket(); // the daemon's
    std::optional<InterfaceNames> names;
    Heard heard = Heard::nothing;
    std::unique_ptr<KernelEvents> events;

    Lab() {
        // Nothing is to come of itself, later.
        REQUIRE(run({"sysctl", "-qw", "net.ipv6.conf.default.addr_gen_mode=1"}).status == 0);
        make_network({"wan1", "other"});
        ip("addr add 198.51.101.2/24 dev wan1");
        const auto interfaces = read_interfaces(own);
        REQUIRE(interfaces);
        names.emplace(*interfaces);
        auto opened = KernelEvents::open(context, "linkbal", own.port(), [this](Urgency urgency) {
            const Heard now = urgency == Urgency::moved     ? Heard::moved
                              : urgency == Urgency::at_once ? Heard::at_once
                                                            : Heard::soon;
            heard = std::max(heard, now);
        });
        INFO((opened ? "" : opened.error().message));
        REQUIRE(opened);
        events = *std::move(opened);
        Facts facts;
        facts.interfaces = *interfaces;
        events->follow({"wan1", "tun9"}, facts);
        listen(); // carriers, addresses and their like settle
    }
    static NetlinkSocket open_socket() {
        auto socket = NetlinkSocket::open(NETLINK_ROUTE);
        REQUIRE(socket);
        return *std::move(socket);
    }

    // The most urgent of what comes, until nothing has come for a while.
    Heard listen() {
        Heard most = Heard::nothing;
        do {
            heard = Heard::nothing;
            context.restart();
            context.run_for(100ms);
            most = std::max(most, heard);
        } while (heard != Heard::nothing);
        return most;
    }
    // The same, where it may take the kernel a moment to see.
    bool moves(const std::string& words) {
        heard = Heard::nothing;
        ip(words);
        const bool came = run_until(context, [&] { return heard == Heard::moved; });
        listen();
        return came;
    }
    Heard after(const std::string& words) {
        ip(words);
        return listen();
    }
};

} // namespace

TEST_CASE("what happens to a link of ours is heard at once, to others soon") {
    LINKBAL_OWN_NAMESPACE();
    Lab lab;
    CHECK(lab.after("link set other down") == Heard::soon);
    CHECK(lab.moves("link set wan1p down")); // wan1's carrier
    CHECK(lab.after("link set wan1 down") == Heard::moved);
    CHECK(lab.after("link del wan1") == Heard::moved);
    CHECK(lab.after("link add tun8 type veth") == Heard::soon);
    CHECK(lab.after("link add tun9 type veth") == Heard::moved); // it was not there before
}

TEST_CASE("what the flow cache knows of a link is heard of soon") {
    LINKBAL_OWN_NAMESPACE();
    Lab lab;
    CHECK(lab.after("link set wan1 mtu 1400") == Heard::soon);
    CHECK(lab.after("link set wan1 address 02:00:00:00:00:01") == Heard::soon);
    REQUIRE(run({"tc", "qdisc", "add", "dev", "wan1", "root", "pfifo"}).status == 0);
    CHECK(lab.listen() == Heard::soon);
}

TEST_CASE("addresses of our links are heard at once, others soon") {
    LINKBAL_OWN_NAMESPACE();
    Lab lab;
    CHECK(lab.after("addr add 192.0.2.1/32 dev wan1") == Heard::moved);
    CHECK(lab.after("addr del 192.0.2.1/32 dev wan1") == Heard::moved);
    CHECK(lab.after("addr add 2001:db8::1/128 nodad dev wan1") == Heard::moved);
    CHECK(lab.after("addr add 192.0.2.1/32 dev other") == Heard::soon);
}

TEST_CASE("a default route that somebody has learnt is heard at once, other routes soon") {
    LINKBAL_OWN_NAMESPACE();
    Lab lab;
    CHECK(lab.after("route add 203.0.113.0/24 via 198.51.101.1") == Heard::soon);
    CHECK(lab.after("route add default via 198.51.101.1 table 77") == Heard::soon);
    CHECK(lab.after("route add default via 198.51.101.1 metric 7 proto 76") == Heard::soon);
    CHECK(lab.after("route add default via 198.51.101.1") == Heard::at_once);
    CHECK(lab.after("route del default via 198.51.101.1 metric 0") == Heard::at_once);
    CHECK(lab.after("-6 route add default dev wan1") == Heard::at_once);
    CHECK(lab.after("route add local 203.0.113.9 dev lo table local") == Heard::nothing);
}

TEST_CASE("what we do ourselves is no event, the same by others is") {
    LINKBAL_OWN_NAMESPACE();
    Lab lab;
    Rule rule;
    rule.priority = 10003;
    rule.table = 30;
    rule.input_interface = "wan1";
    const Route route{.table = main_table,
                      .destination = Prefix::any(Family::ipv4),
                      .hops = {{IpAddress::parse("198.51.101.1"), "wan1", 1}},
                      .preferred_source = std::nullopt,
                      .metric = 1};
    NetlinkSocket other = Lab::open_socket();
    for (NetlinkSocket* socket : {&lab.own, &other}) {
        const Heard expected = socket == &lab.own ? Heard::nothing : Heard::soon;
        for (const auto operation : {RouteOperation::add, RouteOperation::remove}) {
            REQUIRE(socket->request(*route_message(operation, route, *lab.names), "route"));
            CHECK(lab.listen() == expected);
        }
        for (const bool add : {true, false}) {
            REQUIRE(socket->request(rule_message(add, rule), "rule"));
            CHECK(lab.listen() == expected);
        }
    }
}

TEST_CASE("our nftables table is heard of, without the elements of its sets; others' are not") {
    LINKBAL_OWN_NAMESPACE();
    if (!has_nft()) {
        LINKBAL_SKIP("no nft(8)");
    }
    Lab lab;
    const auto after = [&](const std::string& commands) {
        nft(commands);
        return lab.listen();
    };
    CHECK(after("table inet other { set s { type ipv4_addr; }; chain c { accept; }; }") ==
          Heard::nothing);
    CHECK(after("table inet linkbal2 { chain c { accept; }; }") == Heard::nothing);
    CHECK(after("table inet linkbal { set s { type ipv4_addr; }; chain c { }; }") == Heard::soon);
    CHECK(after("add element inet linkbal s { 192.0.2.1 }") == Heard::nothing);
    CHECK(after("delete element inet linkbal s { 192.0.2.1 }") == Heard::nothing);
    CHECK(after("add rule inet linkbal c accept") == Heard::soon);
    CHECK(after("flush chain inet linkbal c") == Heard::soon);
    CHECK(after("delete table inet other") == Heard::nothing);
    CHECK(after("delete table inet linkbal") == Heard::soon);
}

TEST_CASE("events that were lost make us look at once") {
    LINKBAL_OWN_NAMESPACE();
    Lab lab;
    const CapturedLog log;
    add_routes(20000);
    CHECK(lab.listen() == Heard::moved);
    CHECK(log.has("info: the kernel's events came faster than they were read"));
    CHECK(lab.after("route add 203.0.113.0/24 dev lo") == Heard::soon); // and we still hear
}

TEST_CASE("events may be closed at any time, and nothing is heard any more") {
    LINKBAL_OWN_NAMESPACE();
    Lab lab;
    ip("link set wan1 down"); // waits to be read
    lab.events.reset();
    CHECK(lab.listen() == Heard::nothing);
    CHECK(lab.after("link set other down") == Heard::nothing);
}

TEST_CASE("the loop may go before those who listen on it have run") {
    LINKBAL_OWN_NAMESPACE();
    make_network({"wan1"});
    auto context = std::make_unique<asio::io_context>();
    auto events = KernelEvents::open(*context, "linkbal", 0, [](Urgency) {});
    REQUIRE(events);
    ip("link set wan1 down");
    events->reset();
    context.reset();
}
