// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/control_client.h"

#include "daemon/asio.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "kernel/instance.h"

namespace linkbal {

namespace {

// An `up` of hundreds of links takes a second; a daemon that says nothing for so long is stuck.
constexpr std::chrono::seconds patience{20};

using Stream = asio::local::stream_protocol::socket;

struct Exchange {
    error_code error = asio::error::timed_out;
    std::string reply{};
};

asio::awaitable<void> exchange(Stream* stream, std::string path, std::string request,
                               Exchange* result) {
    error_code error;
    const auto token = [&error] { return asio::redirect_error(asio::use_awaitable, error); };
    co_await stream->async_connect(asio::local::stream_protocol::endpoint(path), token());
    if (!error) {
        co_await asio::async_write(*stream, asio::buffer(request), token());
    }
    if (!error) {
        (void)stream->shutdown(asio::socket_base::shutdown_send, error);
    }
    if (!error) {
        co_await asio::async_read(*stream, asio::dynamic_buffer(result->reply), token());
    }
    result->error = error;
}

} // namespace

Result<std::optional<Answer>> ask_daemon(const std::string& instance, const Request& request) {
    const std::string path = control_path(instance);
    asio::io_context context;
    Stream stream(context);
    Exchange done;
    asio::co_spawn(context, exchange(&stream, path, print_request(request), &done), asio::detached);
    context.run_for(patience);
    if (done.error == asio::error::connection_refused ||
        done.error == boost::system::errc::no_such_file_or_directory) {
        return std::nullopt; // the former: a killed one has left its socket
    }
    if (done.error != asio::error::eof) {
        return fail_errno(done.error.value(), fmt::format("ask the daemon at {}", path));
    }
    auto answer = parse_answer(done.reply);
    return answer ? Result<std::optional<Answer>>(*std::move(answer))
                  : fail("the daemon at {} answers what is {}", path, answer.error().message);
}

} // namespace linkbal
