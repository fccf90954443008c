// SPDX-License-Identifier: GPL-2.0-or-later
// What the next round trip may take, from those before: RFC 6298, section 2.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "util/clock.h"

namespace linkbal {

class RoundTripEstimate {
  public:
    static constexpr std::chrono::milliseconds granularity{20};

    void add(Clock::duration sample) {
        if (!smoothed_) {
            smoothed_ = sample;
            variation_ = sample / 2;
            return;
        }
        const auto difference = std::max(*smoothed_, sample) - std::min(*smoothed_, sample);
        variation_ = (3 * variation_ + difference) / 4;
        smoothed_ = (7 * *smoothed_ + sample) / 8;
    }

    // Nothing before the first sample.
    [[nodiscard]] std::optional<Clock::duration> bound() const {
        if (!smoothed_) {
            return std::nullopt;
        }
        return *smoothed_ + std::max<Clock::duration>(granularity, 4 * variation_);
    }

  private:
    std::optional<Clock::duration> smoothed_;
    Clock::duration variation_{};
};

} // namespace linkbal
