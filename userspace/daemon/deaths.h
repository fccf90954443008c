// SPDX-License-Identifier: GPL-2.0-or-later
// Clients of connections that the kernel has ended by itself, because their uplink's interface or
// address went away, are reset as those are that we end.
#pragma once

#include "daemon/asio.h"

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/death.h"
#include "core/facts.h"
#include "daemon/event_listener.h"

namespace linkbal {

class Deaths {
  public:
    Deaths(asio::io_context& context, std::string instance);
    Deaths(const Deaths&) = delete;
    Deaths& operator=(const Deaths&) = delete;
    ~Deaths();

    // After each pass: the mask of our marks, or nothing while clients are not to be told, and what
    // the pass has seen.
    void settle(std::optional<uint32_t> mask, const Facts& facts);

    // Heard of and neither reset nor left to themselves yet.
    [[nodiscard]] size_t waiting() const { return undecided_.size() + doomed_.size(); }
    [[nodiscard]] size_t resets() const { return resets_; } // clients that were told
    [[nodiscard]] size_t reads() const { return reads_; }   // how often it was woken

  private:
    void follow(std::optional<uint32_t> mask);
    void read(EventSocket& socket);
    void hear(EventSocket& socket);
    void wake_at(Time when);
    void work();
    void decide(Time now);
    void reset_some();
    void complain(Time now);

    asio::io_context* context_;
    std::string instance_;
    std::optional<uint32_t> mask_; // as it was settled last
    std::optional<EventListener> listener_;
    std::set<IpAddress> in_use_;
    std::vector<Death> undecided_; // oldest first
    std::deque<TcpConnection> doomed_;
    asio::steady_timer timer_;
    Time wake_ = Time::max();
    size_t resets_ = 0;
    size_t reads_ = 0;
    uint64_t lost_ = 0; // since the last complaint: events, or bursts of them
    std::optional<Time> complained_;
};

} // namespace linkbal
