// SPDX-License-Identifier: GPL-2.0-or-later
// Probers against real servers on the far end of a veth pair.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "support/catch.h"
#include <arpa/inet.h>
#include <netinet/in.h>

#include "daemon/icmp_echo.h"
#include "far_side.h"
#include "program.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

using Answers = std::vector<uint64_t>;

// An answer that comes late, on a machine that has stood still, is one all the same.
HealthConfig patient() {
    HealthConfig config;
    config.timeout = std::chrono::seconds(20);
    return config;
}

std::unique_ptr<Prober> make(asio::io_context& context, ProbeKind kind, const std::string& target,
                             Answers& answers, HealthConfig config = patient()) {
    config.probe = kind;
    const auto to = address(target);
    auto prober = make_prober(context, config, {to, 8053, "/health?x=1"}, wan1(to.family()),
                              [&answers](uint64_t id) { answers.push_back(id); });
    INFO((prober ? "" : prober.error().message));
    REQUIRE(prober);
    return *std::move(prober);
}

bool answers(asio::io_context& context, Prober& prober, const Answers& seen, uint64_t id) {
    prober.send(id);
    return run_until(context, [&] { return !seen.empty() && seen.back() == id; });
}

// veth delivers within the sender's system call: what was going to be answered at once has been when
// a ping that was sent later is answered.
void wait_for_ping(asio::io_context& context) {
    Answers pings;
    const auto prober = make(context, ProbeKind::icmp, "192.0.2.10", pings);
    REQUIRE(answers(context, *prober, pings, 1));
    context.poll();
}

// A name server that lets `change` spoil its answers.
class NameServer {
  public:
    using Change = std::function<void(std::vector<uint8_t>&)>;

    NameServer(asio::io_context& context, Fd socket) : socket_(context, socket.release()) {
        wait();
    }

    Change change = [](std::vector<uint8_t>&) {};
    int asked = 0;

  private:
    void wait() {
        socket_.async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code error) {
            if (!error) {
                reply();
                wait();
            }
        });
    }

    void reply() {
        std::vector<uint8_t> message(512);
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        const auto got = recvfrom(socket_.native_handle(), message.data(), message.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &size);
        if (got < 12) {
            return;
        }
        ++asked;
        message.resize(static_cast<size_t>(got));
        message[2] |= 0x80; // a response
        change(message);
        sendto(socket_.native_handle(), message.data(), message.size(), 0,
               reinterpret_cast<sockaddr*>(&from), size);
    }

    asio::posix::stream_descriptor socket_;
};

// Answers one request a connection, with `response`.
class WebServer {
  public:
    WebServer(asio::io_context& context, Fd listener)
        : context_(context), listener_(context, listener.release()) {
        wait();
    }

    std::string response = "HTTP/1.1 204 No Content\r\n\r\n";
    std::string request; // the last one
    int closed = 0;      // connections that the client has closed

  private:
    void wait() {
        listener_.async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code error) {
            if (error) {
                return;
            }
            connections_.emplace_back(context_,
                                      accept(listener_.native_handle(), nullptr, nullptr));
            serve(connections_.size() - 1);
            wait();
        });
    }

    void serve(size_t at) {
        connections_[at].async_wait(asio::posix::stream_descriptor::wait_read,
                                    [this, at](error_code error) {
                                        if (error) {
                                            return;
                                        }
                                        std::array<char, 2048> bytes{};
                                        const int fd = connections_[at].native_handle();
                                        const auto got = recv(fd, bytes.data(), bytes.size(), 0);
                                        if (got <= 0) {
                                            ++closed;
                                            return;
                                        }
                                        request.assign(bytes.data(), static_cast<size_t>(got));
                                        send(fd, response.data(), response.size(), MSG_NOSIGNAL);
                                        serve(at);
                                    });
    }

    asio::io_context& context_;
    asio::posix::stream_descriptor listener_;
    std::vector<asio::posix::stream_descriptor> connections_;
};

// Sends what `change` makes of the reply to the request that `raw` has got.
void forge(const Fd& raw, const std::function<void(std::vector<uint8_t>&)>& change) {
    std::vector<uint8_t> packet(1500);
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const auto got = recvfrom(raw.get(), packet.data(), packet.size(), MSG_PEEK,
                              reinterpret_cast<sockaddr*>(&from), &size);
    REQUIRE(got == 20 + static_cast<ssize_t>(echo_size));
    packet.erase(packet.begin(), packet.begin() + 20);
    packet.resize(echo_size);
    packet[0] = 0; // echo reply
    change(packet);
    packet[2] = packet[3] = 0;
    uint32_t sum = 0;
    for (size_t i = 0; i < packet.size(); i += 2) {
        sum += static_cast<uint32_t>(packet[i] << 8 | packet[i + 1]);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    packet[2] = static_cast<uint8_t>(sum >> 8);
    packet[3] = static_cast<uint8_t>(sum);
    REQUIRE(sendto(raw.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from),
                   size) == static_cast<ssize_t>(packet.size()));
}

Fd raw_socket(const FarSide& far, const std::string& source) {
    Fd socket;
    far.at_far_side([&] {
        socket = Fd(::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP));
        const SocketAddress from(address(source), 0);
        REQUIRE(bind(socket.get(), from.get(), from.size) == 0);
    });
    return socket;
}

} // namespace

TEST_CASE("pings are answered, by both families") {
    LINKBAL_FAR_SIDE(far);
    const std::string prefix = GENERATE("192.0.2.", "2001:db8::");
    asio::io_context context;
    Answers first;
    Answers second;
    const auto one = make(context, ProbeKind::icmp, prefix + "9", first);
    const auto other = make(context, ProbeKind::icmp, prefix + "10", second);
    CHECK(answers(context, *one, first, 7));
    CHECK(answers(context, *other, second, uint64_t{1} << 40));
    for (uint64_t id = 100; id < 150; ++id) {
        one->send(id);
    }
    CHECK(run_until(context, [&] { return first.size() == 51; }));
    CHECK(second.size() == 1);
    // All targets of a device and family share one socket.
    const auto raw = run({"cat", "/proc/net/raw", "/proc/net/raw6"}).output;
    CHECK(std::ranges::count(raw, '\n') == 2 + 1);
}

TEST_CASE("a ping that nobody answers is none, and later ones are answered") {
    LINKBAL_FAR_SIDE(far);
    const std::string target = GENERATE("192.0.2.9", "2001:db8::9");
    asio::io_context context;
    Answers seen;
    const auto prober = make(context, ProbeKind::icmp, target, seen);
    far.ignore_pings(true);
    prober->send(1);
    far.ignore_pings(false);
    CHECK(answers(context, *prober, seen, 2));
    CHECK(seen == Answers{2});
}

TEST_CASE("foreign echo replies are no answers") {
    LINKBAL_FAR_SIDE(far);
    asio::io_context context;
    Answers seen;
    const auto prober = make(context, ProbeKind::icmp, "192.0.2.9", seen);
    far.ignore_pings(true);
    const auto target = raw_socket(far, "192.0.2.9");
    prober->send(5);
    // The filter keeps it from waking us at all: no handler runs.
    forge(target, [](auto& packet) { packet[5] ^= 1; }); // another identifier
    forge(target, [](auto& packet) { packet[0] = 3; });  // another type
    CHECK(context.poll() == 0);
    forge(target, [](auto& packet) { packet[7] ^= 1; });    // another sequence
    forge(target, [](auto& packet) { packet[8] ^= 1; });    // another cookie
    forge(target, [](auto& packet) { packet[16] ^= 1; });   // another target
    forge(target, [](auto& packet) { packet.resize(26); }); // cut
    forge(target, [](auto& packet) {
        packet.push_back(0);
        packet.push_back(0);
    }); // grown
    {
        const auto elsewhere = raw_socket(far, "192.0.2.10");
        // It has the request's bytes only from the target's socket.
        std::vector<uint8_t> reply;
        forge(target, [&](auto& packet) {
            reply = packet;
            packet[5] ^= 1;
        });
        const SocketAddress to(address("192.0.2.1"), 0);
        CHECK(sendto(elsewhere.get(), reply.data(), reply.size(), 0, to.get(), to.size) > 0);
    }
    CHECK(context.poll() > 0);
    CHECK(seen.empty());
    forge(target, [](auto&) {});
    CHECK(run_until(context, [&] { return seen == Answers{5}; }));
}

TEST_CASE("probes leave by their device whatever the routing says") {
    LINKBAL_FAR_SIDE(far);
    REQUIRE(run({"ip", "route", "add", "unreachable", "198.51.100.9"}).status == 0);
    REQUIRE(run({"ip", "route", "add", "198.51.100.9", "dev", "wan1", "table", "7"}).status == 0);
    REQUIRE(run({"ip", "rule", "add", "oif", "wan1", "lookup", "7", "pref", "10"}).status == 0);
    far.at_far_side(
        [] { REQUIRE(run({"ip", "addr", "add", "198.51.100.9/32", "dev", "isp"}).status == 0); });
    const auto listener = far.serve(SOCK_STREAM, "198.51.100.9", 8053);
    asio::io_context context;
    Answers seen;
    const auto icmp = make(context, ProbeKind::icmp, "198.51.100.9", seen);
    CHECK(answers(context, *icmp, seen, 1));
    const auto tcp = make(context, ProbeKind::tcp, "198.51.100.9", seen);
    CHECK(answers(context, *tcp, seen, 2));
}

TEST_CASE("only a connection answers a TCP probe") {
    LINKBAL_FAR_SIDE(far);
    const bool ipv6 = GENERATE(false, true);
    const std::string prefix = ipv6 ? "2001:db8::" : "192.0.2.";
    asio::io_context context;
    Answers seen;
    const auto prober = make(context, ProbeKind::tcp, prefix + "9", seen);
    prober->send(1); // refused
    wait_for_ping(context);
    CHECK(seen.empty());
    const auto listener = far.serve(SOCK_STREAM, prefix + "9", 8053);
    CHECK(answers(context, *prober, seen, 2));
    // Nobody is at that address; destroyed while it waits.
    const auto lost = make(context, ProbeKind::tcp, prefix + "77", seen);
    lost->send(3);
    CHECK(answers(context, *prober, seen, 4));
    CHECK(seen == Answers{2, 4});
}

TEST_CASE("a name server answers if it could be asked") {
    LINKBAL_FAR_SIDE(far);
    const std::string target = GENERATE("192.0.2.9", "2001:db8::9");
    asio::io_context context;
    Answers seen;
    HealthConfig config;
    config.query = GENERATE("example.org", ".");
    const auto prober = make(context, ProbeKind::dns, target, seen, config);
    prober->send(1); // nobody listens
    wait_for_ping(context);
    NameServer server(context, far.serve(SOCK_DGRAM, target, 8053));
    CHECK(answers(context, *prober, seen, 2));
    server.change = [](auto& message) { message[3] |= 3; }; // NXDOMAIN
    CHECK(answers(context, *prober, seen, 3));
    const std::vector<NameServer::Change> spoilt{
        [](auto& message) { message[3] |= 2; },                    // SERVFAIL
        [](auto& message) { message[3] |= 5; },                    // REFUSED
        [](auto& message) { message[0] ^= 1; },                    // another id
        [](auto& message) { message[2] &= 0x7f; },                 // no response
        [](auto& message) { message[message.size() - 3] ^= 0xf; }, // another type
        [](auto& message) {
            message[5] = 0;
            message.resize(12);
        }, // no question
        [](auto& message) { message.resize(5); },
    };
    for (size_t i = 0; i < spoilt.size(); ++i) {
        server.change = spoilt[i];
        const int before = server.asked;
        prober->send(10 + i);
        REQUIRE(run_until(context, [&] { return server.asked > before; }));
        context.poll();
    }
    CHECK(seen == Answers{2, 3});
}

TEST_CASE("a web server answers with the status that is wanted") {
    LINKBAL_FAR_SIDE(far);
    const bool ipv6 = GENERATE(false, true);
    const std::string target = ipv6 ? "2001:db8::9" : "192.0.2.9";
    asio::io_context context;
    Answers seen;
    const auto prober = make(context, ProbeKind::http, target, seen);
    WebServer server(context, far.serve(SOCK_STREAM, target, 8053));
    CHECK(answers(context, *prober, seen, 1));
    CHECK(server.request.find("GET /health?x=1 HTTP/1.1\r\n") == 0);
    CHECK(server.request.find(ipv6 ? "Host: [2001:db8::9]:8053\r\n" : "Host: 192.0.2.9:8053\r\n") !=
          std::string::npos);
    const auto spoilt = [&](Prober& asking, const std::string& response) {
        server.response = response;
        REQUIRE(run_until(context, [&] { return server.closed == 1; }));
        server.closed = 0;
        asking.send(2);
        REQUIRE(run_until(context, [&] { return server.closed == 1; }));
    };
    spoilt(*prober, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    spoilt(*prober, "220 mail.example.org ESMTP\r\n");
    HealthConfig config = patient();
    config.status = 302;
    const auto redirected = make(context, ProbeKind::http, target, seen, config);
    spoilt(*redirected, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    CHECK(seen == Answers{1});
    server.response = "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n";
    CHECK(answers(context, *redirected, seen, 3));
}

TEST_CASE("a web server that accepts and is silent is given up, and may be left waiting") {
    LINKBAL_FAR_SIDE(far);
    asio::io_context context;
    Answers seen;
    HealthConfig config;
    config.timeout = std::chrono::milliseconds(50);
    auto prober = make(context, ProbeKind::http, "192.0.2.9", seen, config);
    WebServer server(context, far.serve(SOCK_STREAM, "192.0.2.9", 8053));
    server.response.clear();
    prober->send(1);
    CHECK(run_until(context, [&] { return server.closed == 1; }));
    prober->send(2);
    server.request.clear();
    CHECK(run_until(context, [&] { return !server.request.empty(); }));
    prober.reset();
    CHECK(run_until(context, [&] { return server.closed == 2; }));
    CHECK(seen.empty());
}

TEST_CASE("probers outlive their device") {
    LINKBAL_FAR_SIDE(far);
    const auto kind = GENERATE(ProbeKind::icmp, ProbeKind::tcp, ProbeKind::dns, ProbeKind::http);
    const std::string target = GENERATE("192.0.2.9", "2001:db8::9");
    const bool probed_meanwhile = GENERATE(false, true);
    CAPTURE(static_cast<int>(kind), target, probed_meanwhile);
    asio::io_context context;
    Answers seen;
    const auto prober = make(context, kind, target, seen);
    NameServer dns(context, far.serve(SOCK_DGRAM, target, 8053));
    WebServer web(context, far.serve(SOCK_STREAM, target, 8053));
    CHECK(answers(context, *prober, seen, 1));
    far.disconnect();
    if (probed_meanwhile) {
        prober->send(2);
        prober->send(3);
        context.poll();
    }
    far.connect();
    CHECK(answers(context, *prober, seen, 4));
    CHECK(seen == Answers{1, 4});
}

TEST_CASE("a device that is not there yet is no error") {
    LINKBAL_FAR_SIDE(far);
    const auto kind = GENERATE(ProbeKind::icmp, ProbeKind::dns);
    far.disconnect();
    asio::io_context context;
    Answers seen;
    const auto prober = make(context, kind, "192.0.2.9", seen);
    prober->send(1);
    far.connect();
    NameServer dns(context, far.serve(SOCK_DGRAM, "192.0.2.9", 8053));
    CHECK(answers(context, *prober, seen, 2));
}

TEST_CASE("probes carry mark and source") {
    LINKBAL_FAR_SIDE(far);
    REQUIRE(run({"ip", "addr", "add", "192.0.2.5/32", "dev", "wan1"}).status == 0);
    nft("table ip t { counter right { }; chain o { type filter hook output priority 0; "
        "ip saddr 192.0.2.5 meta mark 0x123 counter name right; }; }");
    auto path = wan1();
    path.mark = 0x123;
    path.source = address("192.0.2.5");
    asio::io_context context;
    Answers seen;
    const auto prober = make_prober(context, {}, {address("192.0.2.9"), 0, ""}, path,
                                    [&](uint64_t id) { seen.push_back(id); });
    REQUIRE(prober);
    CHECK(answers(context, **prober, seen, 1));
    CHECK(nft_list("counter ip t right").find("packets 1 ") != std::string::npos);
}

TEST_CASE("a target without an address is the path's gateway") {
    LINKBAL_FAR_SIDE(far);
    asio::io_context context;
    Answers seen;
    auto path = wan1();
    const auto add = [&](uint64_t id) { seen.push_back(id); };
    const auto none = make_prober(context, {}, {}, path, add);
    REQUIRE(!none);
    CHECK(none.error().message == "probe by wan1: no IPv4 gateway");
    CHECK(!make_prober(context, {}, {address("2001:db8::9"), 0, ""}, path, add));
    path.gateway = address("192.0.2.9");
    const auto prober = make_prober(context, {}, {}, path, add);
    REQUIRE(prober);
    CHECK(answers(context, **prober, seen, 1));
}
