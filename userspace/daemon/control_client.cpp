// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/control_client.h"

#include "daemon/asio.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "kernel/instance.h"

namespace linkbal {

Result<std::optional<Answer>> ask_daemon(const std::string& instance, const Request& request) {
    const std::string path = control_path(instance);
    asio::io_context context;
    asio::local::stream_protocol::socket socket(context);
    error_code error;
    socket.connect(asio::local::stream_protocol::endpoint(path), error);
    if (error == asio::error::connection_refused ||
        error == boost::system::errc::no_such_file_or_directory) {
        return std::nullopt; // the former: a killed one has left its socket
    }
    std::string reply;
    if (!error) {
        asio::write(socket, asio::buffer(print_request(request)), error);
    }
    if (!error) {
        socket.shutdown(asio::socket_base::shutdown_send, error);
    }
    if (!error) {
        asio::read(socket, asio::dynamic_buffer(reply), error);
    }
    if (error != asio::error::eof) {
        return fail_errno(error.value(), fmt::format("ask the daemon at {}", path));
    }
    auto answer = parse_answer(reply);
    return answer ? Result<std::optional<Answer>>(*std::move(answer))
                  : fail("the daemon at {} answers what is {}", path, answer.error().message);
}

} // namespace linkbal
