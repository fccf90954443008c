// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <list>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "daemon/descriptor.h"
#include "daemon/probers.h"

namespace linkbal {

namespace {

// A connection that is being made; the prober's list owns it.
struct Attempt {
    uint64_t id;
    asio::posix::stream_descriptor socket;
};

class TcpProber : public std::enable_shared_from_this<TcpProber> {
  public:
    explicit TcpProber(ProberSetup setup)
        : context_(setup.context), timeout_(setup.config.timeout), path_(std::move(setup.path)),
          destination_(setup.address, setup.target.port), on_answer_(std::move(setup.on_answer)) {}

    void send(uint64_t id);

  private:
    using Attempts = std::list<Attempt>;
    void finish(Attempts::iterator attempt, error_code error);

    asio::io_context& context_;
    std::chrono::milliseconds timeout_;
    ProbePath path_;
    SocketAddress destination_;
    OnAnswer on_answer_;
    Attempts attempts_;
};

// The kernel ends the attempt at the timeout, and the connection with a reset instead of the minute
// of TIME_WAIT, or of retransmissions on a dead link, that each of two probes a second would leave.
void set_options(int socket, std::chrono::milliseconds timeout) {
    const auto limit = static_cast<unsigned>(timeout.count());
    setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void TcpProber::send(uint64_t id) {
    auto socket = open_probe_socket(path_, SOCK_STREAM, IPPROTO_TCP);
    if (!socket) {
        return;
    }
    set_options(socket->get(), timeout_);
    if (connect(socket->get(), destination_.get(), destination_.size) != 0 &&
        errno != EINPROGRESS) {
        return;
    }
    const auto attempt =
        attempts_.insert(attempts_.end(), {id, asio::posix::stream_descriptor(context_)});
    if (!adopt(attempt->socket, *std::move(socket))) {
        attempts_.erase(attempt);
        return;
    }
    attempt->socket.async_wait(asio::posix::stream_descriptor::wait_write,
                               [weak = weak_from_this(), attempt](error_code waited) {
                                   if (const auto self = weak.lock()) {
                                       self->finish(attempt, waited);
                                   }
                               });
}

void TcpProber::finish(Attempts::iterator attempt, error_code error) {
    int refused = 0;
    socklen_t size = sizeof refused;
    const bool connected =
        !error &&
        getsockopt(attempt->socket.native_handle(), SOL_SOCKET, SO_ERROR, &refused, &size) == 0 &&
        refused == 0;
    const uint64_t id = attempt->id;
    attempts_.erase(attempt);
    if (connected) {
        on_answer_(id);
    }
}

// What handlers look for stays with this, so that it is gone as soon as the prober is.
class TcpProberOwner : public Prober {
  public:
    explicit TcpProberOwner(ProberSetup setup)
        : prober_(std::make_shared<TcpProber>(std::move(setup))) {}
    void send(uint64_t id) override { prober_->send(id); }

  private:
    std::shared_ptr<TcpProber> prober_;
};

} // namespace

Result<std::unique_ptr<Prober>> make_tcp_prober(ProberSetup setup) {
    return std::make_unique<TcpProberOwner>(std::move(setup));
}

} // namespace linkbal
