// SPDX-License-Identifier: GPL-2.0-or-later
#include "far_side.h"

#include <cstdio>
#include <thread>

#include "support/catch.h"
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "program.h"

namespace linkbal::test {

namespace {

Fd this_namespace() { return Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

Fd new_namespace() {
    REQUIRE(unshare(CLONE_NEWNET) == 0);
    return this_namespace();
}

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

// A device drops what it is to send until the kernel has seen, in its own time, that the cable is in.
void wait_for_carrier(const std::string& device) {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    device.copy(request.ifr_name, IFNAMSIZ - 1);
    const Time limit = Clock::now() + std::chrono::seconds(20);
    while (ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 &&
           (request.ifr_flags & IFF_RUNNING) == 0 && Clock::now() < limit) {
        std::this_thread::yield();
    }
    REQUIRE((request.ifr_flags & IFF_RUNNING) != 0);
}

// The kernel receives packets to a new IPv6 address from when it has, in its own time, made the
// address's local route; one without duplicate detection counts as permanent before (6.18).
void wait_for_local_route(const std::string& address) {
    const Time limit = Clock::now() + std::chrono::seconds(20);
    std::string route;
    do {
        route = run({"ip", "route", "get", address}).output;
    } while (!route.starts_with("local ") && Clock::now() < limit);
    INFO(route);
    REQUIRE(route.starts_with("local "));
}

} // namespace

FarSide::FarSide() : original_(this_namespace()), near_(new_namespace()), far_(new_namespace()) {
    ip("link set lo up");
    REQUIRE(setns(near_.get(), CLONE_NEWNET) == 0);
    ip("link set lo up");
    connect();
}

FarSide::~FarSide() { setns(original_.get(), CLONE_NEWNET); }

// Neighbours are known, so that nothing waits to be resolved: a packet is received within the
// system call that sends it. (A pair whose ends have the same index waits a second for its carrier.)
void FarSide::connect() {
    ip(fmt::format("link add wan1 index 101 address 02:00:00:00:00:01 type veth peer name isp "
                   "index 202 address 02:00:00:00:00:09 netns /proc/{}/fd/{}\n"
                   "addr add 192.0.2.1/24 dev wan1\n"
                   "addr add 2001:db8::1/64 dev wan1 nodad\n"
                   "link set wan1 up\n",
                   getpid(), far_.get()));
    at_far_side([] {
        ip("link set isp up\n");
        wait_for_carrier("isp");
    });
    wait_for_carrier("wan1");
    for (const char* host : {"192.0.2.9", "192.0.2.10", "2001:db8::9", "2001:db8::10"}) {
        ip(fmt::format("neigh add {} lladdr 02:00:00:00:00:09 dev wan1\n", host));
    }
    at_far_side([] {
        ip("addr add 192.0.2.9/24 dev isp\n"
           "addr add 192.0.2.10/24 dev isp\n"
           "addr add 2001:db8::9/64 dev isp nodad\n"
           "addr add 2001:db8::10/64 dev isp nodad\n"
           "neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev isp\n"
           "neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev isp\n");
        wait_for_local_route("2001:db8::9");
        wait_for_local_route("2001:db8::10");
    });
    wait_for_local_route("2001:db8::1");
}

void FarSide::disconnect() { ip("link del wan1"); }

void FarSide::at_far_side(const std::function<void()>& action) const {
    REQUIRE(setns(far_.get(), CLONE_NEWNET) == 0);
    action();
    REQUIRE(setns(near_.get(), CLONE_NEWNET) == 0);
}

void FarSide::ignore_pings(bool ignore) const {
    at_far_side([ignore] {
        set("ipv4/icmp_echo_ignore_all", ignore ? '1' : '0');
        set("ipv6/icmp/echo_ignore_all", ignore ? '1' : '0');
    });
}

Fd FarSide::serve(int type, const std::string& text, uint16_t port) const {
    Fd socket;
    at_far_side([&] {
        const auto on = address(text);
        const int domain = on.family() == Family::ipv4 ? AF_INET : AF_INET6;
        socket = Fd(::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        const SocketAddress local(on, port);
        REQUIRE(bind(socket.get(), local.get(), local.size) == 0);
        REQUIRE((type != SOCK_STREAM || listen(socket.get(), 16) == 0));
    });
    return socket;
}

IpAddress address(const std::string& text) { return IpAddress::parse(text).value(); }

ProbePath wan1(Family family) {
    ProbePath path;
    path.device = "wan1";
    path.family = family;
    return path;
}

bool run_until(asio::io_context& context, const std::function<bool()>& condition) {
    using namespace std::chrono_literals;
    const Time limit = Clock::now() + 20s;
    while (!condition() && Clock::now() < limit) {
        context.restart();
        context.run_one_for(100ms);
    }
    return condition();
}

} // namespace linkbal::test
