// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/event_socket.h"

#include <algorithm>
#include <vector>

#include <fcntl.h>
#include <linux/rtnetlink.h>

#include "route_burst.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

EventSocket route_events() {
    auto socket = EventSocket::open(NETLINK_ROUTE, {RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE});
    INFO((socket ? "" : socket.error().message));
    REQUIRE(socket);
    return *std::move(socket);
}

struct Heard {
    std::vector<uint16_t> types;
    bool complete = false;
    [[nodiscard]] auto count(uint16_t type) const { return std::ranges::count(types, type); }
};

Heard drain(EventSocket& socket) {
    Heard drained;
    const auto complete =
        socket.drain([&](const nlmsghdr& message) { drained.types.push_back(message.nlmsg_type); });
    REQUIRE(complete);
    drained.complete = *complete;
    return drained;
}

} // namespace

TEST_CASE("events are handed over in order, once") {
    LINKBAL_OWN_NAMESPACE();
    make_network();
    EventSocket socket = route_events();
    CHECK(drain(socket).types.empty());
    ip("route add 203.0.113.0/24 dev lo");
    ip("route del 203.0.113.0/24 dev lo");
    const Heard drained = drain(socket);
    CHECK(drained.complete);
    CHECK(drained.types == std::vector<uint16_t>{RTM_NEWROUTE, RTM_DELROUTE});
    CHECK(drain(socket).types.empty());
}

TEST_CASE("events of groups that were not asked for do not come") {
    LINKBAL_OWN_NAMESPACE();
    make_network();
    EventSocket socket = route_events();
    ip("rule add pref 5 lookup 77");
    ip("addr add 2001:db8::1/64 dev lo");
    CHECK(drain(socket).types.empty());
}

TEST_CASE("a reader that is too slow learns that it has missed something") {
    LINKBAL_OWN_NAMESPACE();
    make_network();
    EventSocket socket = route_events();
    add_routes(20000);
    const Heard drained = drain(socket);
    CHECK(!drained.complete);
    CHECK(drained.count(RTM_NEWROUTE) > 0); // the first ones
    CHECK(drained.count(RTM_NEWROUTE) < 20000);
    ip("route add 203.0.113.0/24 dev lo");
    const Heard after = drain(socket);
    CHECK(after.complete);
    CHECK(after.types == std::vector<uint16_t>{RTM_NEWROUTE});
}

TEST_CASE("sockets for events do not block and are not inherited") {
    LINKBAL_OWN_NAMESPACE();
    const EventSocket socket = route_events();
    CHECK((fcntl(socket.fd(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC) != 0);
    const auto refused = EventSocket::open(NETLINK_ROUTE, {9999});
    REQUIRE(!refused);
    CHECK(refused.error().message.find("join netlink group 9999") == 0);
}
