// SPDX-License-Identifier: GPL-2.0-or-later
// From what is seen of a link to whether it is fit for connections, and the words for it: pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "core/facts.h"
#include "core/link_health.h"
#include "core/status.h"
#include "core/uplinks.h"

namespace linkbal {

// Of links that are not simply up or down.
inline constexpr std::string_view retired_words =
    "no longer configured: its open connections go on";
inline constexpr std::string_view drained_words = "drained by command: its open connections go on";
inline constexpr std::string_view standby_words = "stands by: an uplink of a lower tier is used";

// What keeps an interface from carrying anything, as a phrase; `interface` is none where there is none.
std::optional<std::string> interface_obstacle(const std::string& device,
                                              const Interface* interface);

struct LinkObservation {
    std::string device;
    const Interface* interface = nullptr; // none: it is not there
    // By Family; empty: there are no targets of this family.
    std::array<std::optional<Judgement>, 2> judgements;
    // Why it may not be used yet: its bring-up is under way or has failed.
    std::optional<std::string> not_ready;
};

struct FamilyFitness {
    bool good = true;
    std::string reason; // a phrase without a full stop
    bool operator==(const FamilyFitness&) const = default;
};

// By Family. Carrier first, then bring-up, then the family's own judgement; a family without targets
// shares the other one's fate. A verdict that is still unknown leaves the link as `before` was.
std::array<FamilyFitness, 2> link_fitness(const LinkObservation& seen,
                                          const std::array<bool, 2>& before);

struct LinkState {
    UplinkState state = UplinkState::down;
    std::string reason;
    bool operator==(const LinkState&) const = default;
};

// For people and programs. `uplink` as it was resolved with that fitness.
LinkState link_state(const Uplink& uplink, const std::array<FamilyFitness, 2>& fitness);

} // namespace linkbal
