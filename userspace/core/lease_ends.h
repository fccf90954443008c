// SPDX-License-Identifier: GPL-2.0-or-later
// When the leases of the flow cache are ended because something has changed that they may depend on:
// pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "util/clock.h"

namespace linkbal {

struct EndedUplinks {
    bool all = false;
    std::set<uint32_t> ids; // those that are meant otherwise
    bool operator==(const EndedUplinks&) const = default;
};

// Every flow whose lease ends is learned again, and changes come in bursts: a firewall that is loaded
// rule by rule, a routing daemon. The first one counts at once. What follows is put off, and counts
// together, until the learning takes a twentieth of a core at most.
class LeaseEnds {
  public:
    // To learn a flow takes 3 us.
    static constexpr std::chrono::microseconds pause_per_flow{20 * 3};
    static constexpr std::chrono::milliseconds shortest_pause{50};
    // As long as a lease is about to last without us.
    static constexpr std::chrono::seconds longest_pause{60};

    void ask(uint32_t uplink) { asked_.ids.insert(uplink); }
    void ask_all() { asked_.all = true; }

    // When what has been asked for may be done, perhaps long ago; nullopt: nothing has.
    [[nodiscard]] std::optional<Time> due() const {
        return asked_ == EndedUplinks{} ? std::nullopt : std::optional(next_);
    }
    // What is to be done now; nullopt: nothing, or not yet.
    std::optional<EndedUplinks> take(Time now) {
        const auto when = due();
        return when && *when <= now ? std::optional(std::exchange(asked_, {})) : std::nullopt;
    }
    // It was done, while there were that many flows.
    void done(Time now, size_t flows) {
        constexpr auto most = static_cast<size_t>(longest_pause / pause_per_flow);
        next_ = now + std::clamp<Clock::duration>(std::min(flows, most) * pause_per_flow,
                                                  shortest_pause, longest_pause);
    }
    // It could not be done: once more, after the longest pause.
    void failed(Time now, const EndedUplinks& what) {
        asked_.all = asked_.all || what.all;
        asked_.ids.insert(what.ids.begin(), what.ids.end());
        next_ = now + longest_pause;
    }

  private:
    EndedUplinks asked_;
    Time next_{};
};

} // namespace linkbal
