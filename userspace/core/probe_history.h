// SPDX-License-Identifier: GPL-2.0-or-later
// The last probes of one target: pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "util/clock.h"

namespace linkbal {

// Of probes that are answered, or lost: past the timeout.
struct ProbeStatistics {
    uint32_t answered = 0, lost = 0;
    Clock::duration round_trips{}; // sum over the answered
    uint32_t differences = 0;      // of round trips of successive answers
    Clock::duration variation{};   // sum of those differences

    [[nodiscard]] uint32_t count() const { return answered + lost; }
    // Nothing where there is nothing to take the mean of.
    [[nodiscard]] std::optional<double> loss() const; // 0 to 1
    [[nodiscard]] std::optional<Clock::duration> latency() const;
    [[nodiscard]] std::optional<Clock::duration> jitter() const;
    ProbeStatistics& operator+=(const ProbeStatistics& other);
};

// Ids count from 0, one a probe. Only the youngest `capacity` are remembered.
class ProbeHistory {
  public:
    ProbeHistory(size_t capacity, Clock::duration timeout);

    uint64_t sent(Time now);
    // The round trip. Nothing for what is not waited for, or no longer.
    std::optional<Clock::duration> answered(uint64_t id, Time now);

    [[nodiscard]] uint64_t oldest() const;
    [[nodiscard]] uint64_t next() const { return next_; } // the id of the next probe
    // Of an id from oldest() to below next().
    [[nodiscard]] Time sent_at(uint64_t id) const { return at(id).sent; }
    [[nodiscard]] bool is_answered(uint64_t id) const { return at(id).round_trip.has_value(); }
    [[nodiscard]] bool is_lost(uint64_t id, Time now) const;

    // Of the probes from `first` on below `end`: what is not answered counts as lost.
    [[nodiscard]] ProbeStatistics statistics(uint64_t first, uint64_t end) const;

  private:
    struct Probe {
        Time sent;
        std::optional<Clock::duration> round_trip;
    };
    [[nodiscard]] const Probe& at(uint64_t id) const { return probes_[id % probes_.size()]; }

    std::vector<Probe> probes_; // a ring: a probe's place is its id modulo the size
    uint64_t next_ = 0;
    Clock::duration timeout_;
};

} // namespace linkbal
