// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/control_server.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

namespace linkbal {

namespace {

// The configuration of 255 links, many times over.
constexpr size_t largest_request = 4UL << 20;
// Who connects and says nothing is no command of ours.
constexpr std::chrono::seconds patience{10};
// Who connects while there are too many open files waits for that long.
constexpr std::chrono::seconds accept_pause{1};

void give_up_later(asio::steady_timer& timer, asio::local::stream_protocol::socket& stream) {
    timer.expires_after(patience);
    timer.async_wait([&stream](const error_code& error) {
        if (!error) {
            error_code ignored;
            (void)stream.cancel(ignored);
        }
    });
}

// New files are for us alone, mode 0600, until the end of the scope.
class PrivateFiles {
  public:
    PrivateFiles() : former_(::umask(S_IXUSR | S_IRWXG | S_IRWXO)) {}
    ~PrivateFiles() { ::umask(former_); }
    PrivateFiles(const PrivateFiles&) = delete;
    PrivateFiles& operator=(const PrivateFiles&) = delete;

  private:
    mode_t former_;
};

} // namespace

ControlServer::ControlServer(asio::io_context& context, std::string path, Handler handle)
    : path_(std::move(path)), acceptor_(context), again_(context),
      handle_(std::make_shared<Handler>(std::move(handle))) {}

ControlServer::~ControlServer() {
    *handle_ = {};
    ::unlink(path_.c_str());
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(asio::io_context& context,
                                                           std::string path, Handler handle) {
    const std::string name = path;
    std::unique_ptr<ControlServer> server(
        new ControlServer(context, std::move(path), std::move(handle))); // private constructor
    ::unlink(name.c_str());
    const PrivateFiles for_root;
    error_code error;
    (void)server->acceptor_.open(asio::local::stream_protocol(), error);
    if (!error) {
        (void)server->acceptor_.bind(asio::local::stream_protocol::endpoint(name), error);
    }
    if (!error) {
        (void)server->acceptor_.listen(asio::socket_base::max_listen_connections, error);
    }
    if (error) {
        return fail_errno(error.value(), fmt::format("listen on {}", name));
    }
    server->accept();
    return server;
}

void ControlServer::accept() {
    acceptor_.async_accept([this, handle = handle_](const error_code& error, Stream stream) {
        if (!*handle) {
            return; // `this` is gone
        }
        if (error) {
            spdlog::error("take a command's connection: {}", error.message());
            accept_later();
            return;
        }
        const auto executor = stream.get_executor();
        asio::co_spawn(executor, serve(std::move(stream), handle), asio::detached);
        accept();
    });
}

void ControlServer::accept_later() {
    again_.expires_after(accept_pause);
    again_.async_wait([this, handle = handle_](const error_code& error) {
        if (!error && *handle) {
            accept();
        }
    });
}

asio::awaitable<void> ControlServer::serve(Stream stream, std::shared_ptr<Handler> handle) {
    asio::steady_timer timer(stream.get_executor());
    give_up_later(timer, stream);
    std::string text;
    error_code error;
    co_await asio::async_read(stream, asio::dynamic_buffer(text, largest_request),
                              asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::eof && *handle) {
        const auto request = parse_request(text);
        const Answer answer =
            request ? (*handle)(*request) : Answer{.exit = 1, .errors = {request.error().message}};
        const std::string reply = print_answer(answer);
        give_up_later(timer, stream); // to find it may have taken its time
        co_await asio::async_write(stream, asio::buffer(reply),
                                   asio::redirect_error(asio::use_awaitable, error));
    }
    timer.cancel();
    // The timer's handler must not look at `stream` any more.
    co_await asio::post(stream.get_executor(), asio::use_awaitable);
}

} // namespace linkbal
