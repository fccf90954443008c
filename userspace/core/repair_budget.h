// SPDX-License-Identifier: GPL-2.0-or-later
// How often what others have changed is put right again: pure.
#pragma once

#include <algorithm>
#include <chrono>

#include "util/clock.h"

namespace linkbal {

// A few at once, for accidents; then one every ten seconds, for those who insist.
class RepairBudget {
  public:
    // False: not before next().
    bool take(Time now) {
        if (left_ < burst) {
            const auto earned = (now - since_) / pause;
            left_ = static_cast<int>(std::min<decltype(earned)>(burst, left_ + earned));
            since_ += earned * pause;
        }
        if (left_ == burst) {
            since_ = now;
        }
        if (left_ == 0) {
            return false;
        }
        --left_;
        return true;
    }
    // When take() succeeds again after it has failed.
    [[nodiscard]] Time next() const { return since_ + pause; }

  private:
    static constexpr int burst = 5;
    static constexpr std::chrono::seconds pause{10};
    int left_ = burst;
    Time since_{}; // when the repair that is being earned began to be
};

} // namespace linkbal
