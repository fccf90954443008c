// SPDX-License-Identifier: GPL-2.0-or-later
// How long a link that eats connections is left alone before it is tried again: pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "util/clock.h"

namespace linkbal {

class TrialPause {
  public:
    static constexpr std::chrono::seconds shortest{10};
    static constexpr std::chrono::minutes longest{10};
    static constexpr std::chrono::minutes forgotten{10}; // without another pause
    // A link that gets no connections gives no fresh evidence, so what stands when a pause ends is
    // believed again only if it still stands after this.
    static constexpr std::chrono::seconds stale{10};

    // True while the link is to be left alone.
    bool update(bool eats_connections, Time now) {
        if (is_pausing(now)) {
            return true;
        }
        stale_ = stale_ && eats_connections;
        if (!eats_connections || (stale_ && now - *until_ < stale)) {
            return false;
        }
        const bool fresh = !until_ || now - *until_ >= forgotten;
        pause_ = fresh ? shortest : std::min<Clock::duration>(2 * pause_, longest);
        until_ = now + pause_;
        stale_ = true;
        return true;
    }

    [[nodiscard]] bool is_pausing(Time now) const { return until_ && now < *until_; }
    // Until a pause's end.
    [[nodiscard]] Clock::duration left(Time now) const { return *until_ - now; }

    // When update() can say something else about the same evidence.
    [[nodiscard]] std::optional<Time> next_deadline(Time now) const {
        if (is_pausing(now)) {
            return until_;
        }
        return stale_ ? std::optional(*until_ + stale) : std::nullopt;
    }

  private:
    std::optional<Time> until_; // the end of the last pause
    Clock::duration pause_{};
    bool stale_ = false; // the evidence has stood since before that end
};

} // namespace linkbal
