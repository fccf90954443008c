// SPDX-License-Identifier: GPL-2.0-or-later
// Reads twice a second what the datapath sees of real connections; more often where probes are judged
// faster than that, lest the excuse for lost ones come late.
#pragma once

#include "daemon/asio.h"

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/passive_health.h"
#include "kernel/handshakes.h"

namespace linkbal {

class PassiveWatch {
  public:
    // `on_reading` is called after each reading.
    PassiveWatch(asio::io_context& context, std::string instance, std::function<void()> on_reading);

    // The uplinks, by id, that are read from now on, and the shortest interval of their probes.
    void follow(std::set<uint32_t> uplinks, std::chrono::milliseconds interval);
    // The programs, and with them the maps, may be others now.
    void open_again() { reader_.reset(); }
    // A link has failed: what died with it must not be held against it when it is back.
    void forget(uint32_t uplink, Family family) { health_.forget(uplink, family); }
    [[nodiscard]] PassiveEvidence evidence(uint32_t uplink, Family family, Time now) const {
        return health_.evidence(uplink, family, now);
    }

  private:
    void schedule();
    void read();

    asio::steady_timer timer_;
    std::string instance_;
    std::function<void()> on_reading_;
    std::set<uint32_t> uplinks_;
    std::chrono::milliseconds period_{};
    std::optional<HandshakeReader> reader_;
    PassiveHealth health_;
};

} // namespace linkbal
