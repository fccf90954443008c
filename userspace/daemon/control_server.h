// SPDX-License-Identifier: GPL-2.0-or-later
// Takes requests of commands (core/control.h) on /run/INSTANCE/control, for root only.
#pragma once

#include "daemon/asio.h"

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/local/stream_protocol.hpp>

#include "core/control.h"
#include "util/result.h"

namespace linkbal {

class ControlServer {
  public:
    using Handler = std::function<Answer(const Request&)>;

    // Takes the place of a socket that a killed daemon has left: whoever calls this is the only daemon
    // of the instance. `handle` is called from the event loop, for one request at a time.
    static Result<std::unique_ptr<ControlServer>> open(asio::io_context& context, std::string path,
                                                       Handler handle);
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;
    ~ControlServer(); // removes the socket

  private:
    using Stream = asio::local::stream_protocol::socket;
    ControlServer(asio::io_context& context, std::string path, Handler handle);
    void accept();
    void accept_later();
    // Both outlive the server if they must; `handle` is empty then.
    static asio::awaitable<void> serve(Stream stream, std::shared_ptr<Handler> handle);

    std::string path_;
    asio::local::stream_protocol::acceptor acceptor_;
    asio::steady_timer again_; // to accept, after an error
    std::shared_ptr<Handler> handle_;
};

} // namespace linkbal
