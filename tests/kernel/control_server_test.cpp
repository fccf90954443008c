// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's socket, and the commands that ask it; files in a mount namespace of the test's own.
#include "daemon/control_server.h"

#include <algorithm>
#include <future>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "captured_log.h"
#include "daemon/control_client.h"
#include "loop.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

using Stream = asio::local::stream_protocol::socket;
using Asked = Result<std::optional<Answer>>;

const std::string path = "/run/linkbal/control";

bool enter_mount_namespace() {
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") == 0 &&
           ::mkdir("/run/linkbal", 0755) == 0;
}

// A daemon that answers with what it was asked for.
struct Lab {
    asio::io_context context;
    std::vector<Request> requests;
    std::unique_ptr<ControlServer> server;

    Lab() { open(); }
    void open() {
        auto opened = ControlServer::open(context, path, [this](const Request& request) {
            requests.push_back(request);
            return Answer{.exit = 0, .output = {print_request(request)}};
        });
        INFO((opened ? "" : opened.error().message));
        REQUIRE(opened);
        server = *std::move(opened);
    }
    // As another process would, while the loop runs.
    Asked ask(const Request& request) {
        auto asked = std::async(std::launch::async, ask_daemon, "linkbal", request);
        CHECK(run_until(context, [&] { return asked.wait_for(0s) == std::future_status::ready; }));
        return asked.get();
    }
    // What the server says to a client that has said all it wants, or until it hangs up.
    std::string say(Stream& stream, const std::string& text) {
        error_code error;
        asio::write(stream, asio::buffer(text), error);
        stream.shutdown(asio::socket_base::shutdown_send, error);
        return hear(stream);
    }
    std::string hear(Stream& stream) {
        std::string heard;
        bool ended = false;
        asio::async_read(stream, asio::dynamic_buffer(heard),
                         [&](const error_code&, size_t) { ended = true; });
        CHECK(run_until(context, [&] { return ended; }));
        return heard;
    }
    Stream connect() {
        Stream stream(context);
        stream.connect(asio::local::stream_protocol::endpoint(path));
        return stream;
    }
};

std::string printed(const Asked& asked) {
    if (!asked) {
        return "error: " + asked.error().message;
    }
    return *asked ? (*asked)->output.at(0) : "no daemon";
}

} // namespace

#define LINKBAL_OWN_FILES()                                                                        \
    if (!enter_mount_namespace()) {                                                                \
        LINKBAL_SKIP("no mount namespace of our own: needs root");                                 \
    }                                                                                              \
    static_assert(true)

TEST_CASE("a daemon answers what it is asked") {
    LINKBAL_OWN_FILES();
    Lab lab;
    const std::string large(1 << 20, 'x'); // much more than a socket holds
    for (const Request& request :
         {Request(StatusRequest{}), Request(RemoveRequest{}), Request(ApplyRequest{"file", large}),
          Request(UplinkRequest{"velox1", UplinkRequest::Order::weight, 7})}) {
        CHECK(printed(lab.ask(request)) == print_request(request));
        CHECK(lab.requests.back() == request);
    }
    CHECK(lab.requests.size() == 4);
}

TEST_CASE("where no daemon runs there is no answer and no error") {
    LINKBAL_OWN_FILES();
    CHECK(printed(ask_daemon("linkbal", StatusRequest{})) == "no daemon");
    CHECK(printed(ask_daemon("nobody", StatusRequest{})) == "no daemon"); // not even a directory
    {
        asio::io_context context; // a killed one: its socket stays
        asio::local::stream_protocol::acceptor left(context,
                                                    asio::local::stream_protocol::endpoint(path));
    }
    REQUIRE(::access(path.c_str(), F_OK) == 0);
    CHECK(printed(ask_daemon("linkbal", StatusRequest{})) == "no daemon");
    Lab lab;
    CHECK(printed(lab.ask(StatusRequest{})) == print_request(StatusRequest{}));
    lab.server.reset();
    CHECK(::access(path.c_str(), F_OK) != 0);
    CHECK(printed(ask_daemon("linkbal", StatusRequest{})) == "no daemon");
}

TEST_CASE("the socket is root's alone, whatever the umask") {
    LINKBAL_OWN_FILES();
    const mode_t former = umask(0);
    const Lab lab;
    struct stat info{};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    CHECK(umask(former) == 0); // as it was
}

TEST_CASE("a socket that can't be made is an error") {
    LINKBAL_OWN_FILES();
    asio::io_context context;
    const auto opened = ControlServer::open(context, "/run/nowhere/control", {});
    REQUIRE(!opened);
    CHECK(opened.error().message.find("listen on /run/nowhere/control") == 0);
}

TEST_CASE("what is no request is answered by an error") {
    LINKBAL_OWN_FILES();
    Lab lab;
    for (const char* text : {"", "dance", "{\"command\":\"dance\"}", "{\"command\":\"up\""}) {
        Stream stream = lab.connect();
        const auto answer = parse_answer(lab.say(stream, text));
        REQUIRE(answer);
        CHECK(answer->exit == 1);
        CHECK(answer->errors.at(0).find("not understood") == 0);
    }
    CHECK(lab.requests.empty());
}

TEST_CASE("two commands at once are both answered") {
    LINKBAL_OWN_FILES();
    Lab lab;
    auto one = std::async(std::launch::async, ask_daemon, "linkbal", Request(StatusRequest{}));
    auto two = std::async(std::launch::async, ask_daemon, "linkbal", Request(RemoveRequest{}));
    CHECK(run_until(lab.context, [&] {
        return one.wait_for(0s) == std::future_status::ready &&
               two.wait_for(0s) == std::future_status::ready;
    }));
    CHECK(printed(one.get()) == print_request(StatusRequest{}));
    CHECK(printed(two.get()) == print_request(RemoveRequest{}));
}

// Ten seconds of patience, in real time.
TEST_CASE("a client that says nothing keeps nobody waiting, and is let go") {
    LINKBAL_OWN_FILES();
    Lab lab;
    const auto since = std::chrono::steady_clock::now();
    Stream silent = lab.connect();
    Stream half = lab.connect();
    asio::write(half, asio::buffer(std::string("{\"command\"")));
    CHECK(printed(lab.ask(StatusRequest{})) == print_request(StatusRequest{}));
    CHECK(lab.hear(silent).empty());
    CHECK(lab.hear(half).empty());
    const auto waited = std::chrono::steady_clock::now() - since;
    CHECK(waited > 9s);
    CHECK(waited < 15s);
    CHECK(lab.requests.size() == 1);
}

TEST_CASE("a request that is too long is not read to its end") {
    LINKBAL_OWN_FILES();
    Lab lab;
    const auto asked = lab.ask(ApplyRequest{"file", std::string(8 << 20, 'x')});
    REQUIRE(!asked);
    CHECK(asked.error().message.find("ask the daemon at " + path) == 0);
    CHECK(lab.requests.empty());
    CHECK(printed(lab.ask(StatusRequest{})) == print_request(StatusRequest{}));
}

TEST_CASE("a client that hangs up harms nobody") {
    LINKBAL_OWN_FILES();
    Lab lab;
    {
        Stream stream = lab.connect();
        asio::write(stream, asio::buffer(print_request(StatusRequest{})));
        stream.shutdown(asio::socket_base::shutdown_send);
    } // without waiting for the answer
    CHECK(printed(lab.ask(RemoveRequest{})) == print_request(RemoveRequest{}));
    CHECK(lab.requests.size() == 2);
}

// At every step between the arrival of clients and their answers.
TEST_CASE("a server may be destroyed while clients are connected") {
    LINKBAL_OWN_FILES();
    for (int steps = 0; steps < 12; ++steps) {
        Lab lab;
        std::vector<Stream> clients;
        for (int i = 0; i < 3; ++i) {
            clients.push_back(lab.connect());
            asio::write(clients.back(), asio::buffer(print_request(StatusRequest{})));
            clients.back().shutdown(asio::socket_base::shutdown_send);
        }
        for (int i = 0; i < steps; ++i) {
            lab.context.restart();
            lab.context.run_one_for(20ms);
        }
        const size_t before = lab.requests.size();
        lab.server.reset();
        lab.context.restart();
        lab.context.run_for(20ms);
        CHECK(lab.requests.size() == before);
        CHECK(::access(path.c_str(), F_OK) != 0);
    }
}

TEST_CASE("the loop may go while clients are connected") {
    LINKBAL_OWN_FILES();
    Lab other;
    auto context = std::make_unique<asio::io_context>();
    other.server.reset();
    auto server = ControlServer::open(*context, path, [](const Request&) { return Answer{}; });
    REQUIRE(server);
    const Stream client = other.connect();
    context->run_for(20ms);
    server->reset();
    context.reset();
}

TEST_CASE("a server without file descriptors waits for some") {
    LINKBAL_OWN_FILES();
    Lab lab;
    const CapturedLog log;
    Stream client = lab.connect();
    rlimit former{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &former) == 0);
    const rlimit none{.rlim_cur = 3, .rlim_max = former.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto turns = lab.context.run_for(300ms);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &former) == 0);
    CHECK(turns < 10); // it does not try all the time
    CHECK(log.has("take a command's connection: "));
    const std::string heard = lab.say(client, print_request(StatusRequest{}));
    CHECK(parse_answer(heard));
}
