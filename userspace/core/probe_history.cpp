// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/probe_history.h"

#include <algorithm>

namespace linkbal {

std::optional<double> ProbeStatistics::loss() const {
    return count() == 0 ? std::nullopt : std::optional(static_cast<double>(lost) / count());
}

std::optional<Clock::duration> ProbeStatistics::latency() const {
    return answered == 0 ? std::nullopt : std::optional(round_trips / answered);
}

std::optional<Clock::duration> ProbeStatistics::jitter() const {
    return differences == 0 ? std::nullopt : std::optional(variation / differences);
}

ProbeStatistics& ProbeStatistics::operator+=(const ProbeStatistics& other) {
    answered += other.answered;
    lost += other.lost;
    round_trips += other.round_trips;
    differences += other.differences;
    variation += other.variation;
    return *this;
}

ProbeHistory::ProbeHistory(size_t capacity, Clock::duration timeout)
    : probes_(capacity), timeout_(timeout) {}

uint64_t ProbeHistory::sent(Time now) {
    probes_[next_ % probes_.size()] = {now, std::nullopt};
    return next_++;
}

std::optional<Clock::duration> ProbeHistory::answered(uint64_t id, Time now) {
    if (id < oldest() || id >= next_ || is_answered(id) || is_lost(id, now)) {
        return std::nullopt;
    }
    Probe& probe = probes_[id % probes_.size()];
    probe.round_trip = now - probe.sent;
    return probe.round_trip;
}

uint64_t ProbeHistory::oldest() const {
    return next_ > probes_.size() ? next_ - probes_.size() : 0;
}

bool ProbeHistory::is_lost(uint64_t id, Time now) const {
    return !is_answered(id) && now - at(id).sent > timeout_;
}

ProbeStatistics ProbeHistory::statistics(uint64_t first, uint64_t end) const {
    ProbeStatistics result;
    std::optional<Clock::duration> before;
    for (uint64_t id = std::max(first, oldest()); id < end; ++id) {
        const auto& round_trip = at(id).round_trip;
        if (!round_trip) {
            ++result.lost;
            continue;
        }
        ++result.answered;
        result.round_trips += *round_trip;
        if (before) {
            ++result.differences;
            result.variation += std::max(*before, *round_trip) - std::min(*before, *round_trip);
        }
        before = round_trip;
    }
    return result;
}

} // namespace linkbal
