// SPDX-License-Identifier: GPL-2.0-or-later
// Whether one target answers as it should; core/link_health.h has the rules. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/config.h"
#include "core/probe_history.h"
#include "core/round_trip.h"
#include "core/verdict.h"
#include "util/clock.h"

namespace linkbal {

class TargetHealth {
  public:
    // `is_gateway`: the default target, which may never answer.
    TargetHealth(const HealthConfig& config, bool is_gateway, Verdict initial);

    uint64_t sent(Time now);
    void answered(uint64_t id, Time now);
    // Lets time pass: to be called before what follows is asked.
    void update(Time now);

    [[nodiscard]] Verdict verdict() const;
    // False for a gateway that has never answered. If the verdict that was taken over is bad, it
    // answered the daemon before.
    [[nodiscard]] bool is_evidence() const {
        return !is_gateway_ || ever_answered() || initial_ == Verdict::bad;
    }
    [[nodiscard]] bool ever_answered() const { return last_answer_.has_value(); }
    // Some probe has been out for longer than was to be expected, or was answered.
    [[nodiscard]] bool waited(Time now) const { return youngest_due(now).has_value(); }
    [[nodiscard]] bool is_silent(Time now) const;
    [[nodiscard]] bool beyond_threshold() const;
    // Of is_silent(): since the last answer, or since the first probe.
    [[nodiscard]] Clock::duration silent_for(Time now) const;
    // The youngest probes that were answered in a row, none missed; `up_after` at most.
    [[nodiscard]] uint32_t answers_in_a_row(Time now) const;
    // "loss 45 % of NAME above 40 %", of beyond_threshold().
    [[nodiscard]] std::string exceeded(const std::string& name) const;
    // A connection that succeeded then makes up for the answers that are missing.
    [[nodiscard]] bool excused_by(Time success, Time now) const;
    // Over the last `window` probes of which all before is known too.
    [[nodiscard]] ProbeStatistics statistics() const;
    [[nodiscard]] std::optional<Time> next_deadline(Time now) const;

  private:
    [[nodiscard]] Clock::duration patience() const;
    [[nodiscard]] std::optional<uint64_t> youngest_due(Time now) const;
    [[nodiscard]] bool has_thresholds() const;
    void update_thresholds();

    HealthConfig config_;
    bool is_gateway_;
    Verdict initial_;
    ProbeHistory history_;
    RoundTripEstimate round_trip_;
    Verdict answering_;
    Time first_sent_;
    std::optional<Time> last_answer_;
    uint64_t youngest_answered_ = 0; // of ever_answered()
    uint64_t run_ = 0;               // the first probe that can count as unanswered
    uint64_t evident_ = 0;           // the first probe that statistics may see
    uint64_t settled_ = 0;           // all before are answered or lost
    bool too_lossy_ = false, too_slow_ = false, too_uneven_ = false;
};

} // namespace linkbal
