// SPDX-License-Identifier: GPL-2.0-or-later
// One raw socket for all the targets of an uplink and family.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "daemon/asio.h"
#include "daemon/icmp_echo.h"
#include "daemon/probe_path.h"
#include "daemon/prober.h"

namespace linkbal {

class IcmpSocket : public std::enable_shared_from_this<IcmpSocket> {
  public:
    // The socket of this path, which all who ask for the same one share.
    static Result<std::shared_ptr<IcmpSocket>> of(asio::io_context& context, const ProbePath& path);

    // Returns the target's number.
    uint32_t add(const IpAddress& target, OnAnswer on_answer);
    void remove(uint32_t target) { targets_.erase(target); }
    void send(uint32_t target, uint64_t probe);

  private:
    struct Target {
        IpAddress address;
        SocketAddress destination;
        OnAnswer on_answer;
    };

    IcmpSocket(asio::io_context& context, ProbePath path);
    Status open();
    void wait();
    void receive();
    void handle(std::span<const uint8_t> packet, const sockaddr_storage& from);
    // 0, or the errno of what failed.
    int try_send(const Target& target, std::span<const uint8_t> packet);

    ProbePath path_;
    asio::posix::stream_descriptor socket_;
    std::map<uint32_t, Target> targets_;
    uint32_t next_target_ = 0;
    // Kept when the socket is opened anew: answers that are under way stay ours.
    uint16_t identifier_;
    uint64_t cookie_;
};

} // namespace linkbal
