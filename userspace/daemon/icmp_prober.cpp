// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/icmp_socket.h"
#include "daemon/probers.h"

namespace linkbal {

namespace {

class IcmpProber : public Prober {
  public:
    IcmpProber(std::shared_ptr<IcmpSocket> socket, const IpAddress& target, OnAnswer on_answer)
        : socket_(std::move(socket)), target_(socket_->add(target, std::move(on_answer))) {}
    IcmpProber(const IcmpProber&) = delete;
    IcmpProber& operator=(const IcmpProber&) = delete;
    ~IcmpProber() override { socket_->remove(target_); }

    void send(uint64_t id) override { socket_->send(target_, id); }

  private:
    std::shared_ptr<IcmpSocket> socket_;
    uint32_t target_;
};

} // namespace

Result<std::unique_ptr<Prober>> make_icmp_prober(ProberSetup setup) {
    auto socket = IcmpSocket::of(setup.context, setup.path);
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    return std::make_unique<IcmpProber>(*std::move(socket), setup.address,
                                        std::move(setup.on_answer));
}

} // namespace linkbal
