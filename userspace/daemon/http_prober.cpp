// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstring>
#include <list>

#include <fmt/format.h>
#include <netinet/in.h>

// Beast includes Asio; ours has what Boost 1.74 forgot.
#include "daemon/asio.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "daemon/probers.h"

namespace linkbal {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using Request = http::request<http::empty_body>;

// What the requests that are under way share with the prober.
struct HttpProbes {
    asio::io_context& context;
    std::chrono::milliseconds timeout;
    std::optional<uint32_t> status;
    ProbePath path;
    tcp::endpoint server;
    Request request;
    OnAnswer on_answer;
    std::list<beast::tcp_stream> streams;
};

bool is_answer(const HttpProbes& probes, unsigned status) {
    return probes.status ? status == *probes.status : status / 100 == 2;
}

// True if the answer's header is as it should be; the body is not waited for.
asio::awaitable<bool> ask(const HttpProbes* probes, beast::tcp_stream* stream) {
    error_code error;
    // Boost 1.74 takes no constant or named token.
    const auto token = [&error] { return asio::redirect_error(asio::use_awaitable, error); };
    stream->expires_after(probes->timeout);
    co_await stream->async_connect(probes->server, token());
    if (error) {
        co_return false;
    }
    co_await http::async_write(*stream, probes->request, token());
    if (error) {
        co_return false;
    }
    beast::flat_buffer buffer(16 * 1024);
    http::response_parser<http::empty_body> parser;
    co_await http::async_read_header(*stream, buffer, parser, token());
    co_return !error && is_answer(*probes, parser.get().result_int());
}

asio::awaitable<void> probe(std::shared_ptr<HttpProbes> probes,
                            std::list<beast::tcp_stream>::iterator stream, uint64_t id) {
    const bool answered = co_await ask(probes.get(), &*stream);
    probes->streams.erase(stream);
    if (answered && probes->on_answer) {
        probes->on_answer(id);
    }
}

class HttpProber : public Prober {
  public:
    explicit HttpProber(std::shared_ptr<HttpProbes> probes) : probes_(std::move(probes)) {}
    HttpProber(const HttpProber&) = delete;
    HttpProber& operator=(const HttpProber&) = delete;
    // The requests under way end in an error, at the event loop's next turn.
    ~HttpProber() override {
        probes_->on_answer = nullptr;
        for (auto& stream : probes_->streams) {
            stream.close();
        }
    }
    void send(uint64_t id) override;

  private:
    std::shared_ptr<HttpProbes> probes_;
};

void HttpProber::send(uint64_t id) {
    auto opened = open_probe_socket(probes_->path, SOCK_STREAM, IPPROTO_TCP);
    if (!opened) {
        return;
    }
    auto& streams = probes_->streams;
    const auto stream = streams.emplace(streams.end(), probes_->context);
    // A reset instead of a minute of TIME_WAIT for each of two probes a second.
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(opened->get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    error_code error;
    // NOLINTNEXTLINE(bugprone-unused-return-value): it is `error` once more
    stream->socket().assign(probes_->server.protocol(), opened->get(), error);
    if (error) {
        streams.erase(stream);
        return;
    }
    static_cast<void>(opened->release()); // the stream's now
    asio::co_spawn(probes_->context, probe(probes_, stream, id), asio::detached);
}

tcp::endpoint endpoint(const IpAddress& address, uint16_t port) {
    const SocketAddress from(address, port);
    tcp::endpoint to;
    to.resize(from.size);
    std::memcpy(to.data(), from.get(), from.size);
    return to;
}

Request request_for(const ProbeTarget& target, const IpAddress& address) {
    Request request(http::verb::get, target.path.empty() ? "/" : target.path, 11);
    const std::string host =
        address.family() == Family::ipv6 ? fmt::format("[{}]", address.str()) : address.str();
    request.set(http::field::host,
                target.port == 80 ? host : fmt::format("{}:{}", host, target.port));
    request.set(http::field::user_agent, "linkbal");
    request.set(http::field::connection, "close");
    return request;
}

} // namespace

Result<std::unique_ptr<Prober>> make_http_prober(ProberSetup setup) {
    auto request = request_for(setup.target, setup.address);
    const auto server = endpoint(setup.address, setup.target.port);
    return std::make_unique<HttpProber>(
        std::make_shared<HttpProbes>(HttpProbes{setup.context,
                                                setup.config.timeout,
                                                setup.config.status,
                                                std::move(setup.path),
                                                server,
                                                std::move(request),
                                                std::move(setup.on_answer),
                                                {}}));
}

} // namespace linkbal
