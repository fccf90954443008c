// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <vector>

#include "daemon/descriptor.h"
#include "daemon/dns_message.h"
#include "daemon/probers.h"

namespace linkbal {

namespace {

class DnsProber : public std::enable_shared_from_this<DnsProber> {
  public:
    DnsProber(ProberSetup setup, std::vector<uint8_t> query);

    Status open();
    void send(uint64_t id);

  private:
    struct Question {
        uint16_t dns_id;
        uint64_t id;
    };
    int try_send();
    void wait();
    void receive();
    void handle(std::span<const uint8_t> message);

    ProbePath path_;
    SocketAddress server_;
    OnAnswer on_answer_;
    std::vector<uint8_t> query_;
    asio::posix::stream_descriptor socket_;
    std::mt19937 random_{std::random_device()()};
    std::vector<Question> questions_; // a ring of all that can be waited for
    size_t next_ = 0;
};

// One place more than can be out within the timeout.
size_t most_outstanding(const HealthConfig& config) {
    constexpr std::chrono::milliseconds fastest{100};
    return static_cast<size_t>(config.timeout / std::min(config.interval, fastest)) + 2;
}

DnsProber::DnsProber(ProberSetup setup, std::vector<uint8_t> query)
    : path_(std::move(setup.path)), server_(setup.address, setup.target.port),
      on_answer_(std::move(setup.on_answer)), query_(std::move(query)), socket_(setup.context) {
    questions_.reserve(most_outstanding(setup.config));
}

// Connected, so that the kernel drops what comes from others.
Status DnsProber::open() {
    socket_ = asio::posix::stream_descriptor(socket_.get_executor());
    auto opened = open_probe_socket(path_, SOCK_DGRAM, 0);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    if (connect(opened->get(), server_.get(), server_.size) != 0) {
        return fail_errno(errno, "connect to the name server");
    }
    if (const auto adopted = adopt(socket_, *std::move(opened)); !adopted) {
        return adopted;
    }
    wait();
    return {};
}

int DnsProber::try_send() {
    if (!socket_.is_open()) {
        return EBADF;
    }
    return ::send(socket_.native_handle(), query_.data(), query_.size(), 0) < 0 ? errno : 0;
}

void DnsProber::send(uint64_t id) {
    const Question question{static_cast<uint16_t>(random_()), id};
    if (questions_.size() < questions_.capacity()) {
        questions_.push_back(question);
    } else {
        questions_[next_++ % questions_.size()] = question;
    }
    set_dns_id(query_, question.dns_id);
    // An ICMP error that came for an earlier query (ECONNREFUSED) is told here, too.
    const int error = try_send();
    if (error != 0 && is_worth_another_socket(error) && open()) {
        try_send();
    }
}

void DnsProber::wait() {
    socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [weak = weak_from_this()](error_code error) {
                           const auto self = weak.lock();
                           if (self && !error) {
                               self->receive();
                               self->wait();
                           }
                       });
}

void DnsProber::receive() {
    std::array<uint8_t, 4096> message; // NOLINT(*-member-init)
    while (socket_.is_open()) {
        const auto size = recv(socket_.native_handle(), message.data(), message.size(), 0);
        if (size < 0) {
            return;
        }
        handle({message.data(), static_cast<size_t>(size)});
    }
}

void DnsProber::handle(std::span<const uint8_t> message) {
    const auto dns_id = answered_dns_id(message, query_);
    if (!dns_id) {
        return;
    }
    const auto question = std::ranges::find(questions_, *dns_id, &Question::dns_id);
    if (question != questions_.end()) {
        on_answer_(question->id);
    }
}

// What handlers look for stays with this, so that it is gone as soon as the prober is.
class DnsProberOwner : public Prober {
  public:
    explicit DnsProberOwner(std::shared_ptr<DnsProber> prober) : prober_(std::move(prober)) {}
    void send(uint64_t id) override { prober_->send(id); }

  private:
    std::shared_ptr<DnsProber> prober_;
};

} // namespace

Result<std::unique_ptr<Prober>> make_dns_prober(ProberSetup setup) {
    auto query = dns_query(setup.config.query);
    if (!query) {
        return tl::unexpected(query.error());
    }
    const auto prober = std::make_shared<DnsProber>(std::move(setup), *std::move(query));
    const auto opened = prober->open();
    if (!opened && (opened.error().code == EPERM || opened.error().code == EACCES)) {
        return tl::unexpected(opened.error());
    }
    return std::make_unique<DnsProberOwner>(prober);
}

} // namespace linkbal
