// SPDX-License-Identifier: GPL-2.0-or-later
// What is known of uplinks beyond their configuration and their interfaces.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace linkbal {

struct UplinkCondition {
    // By Family: judged fit for connections.
    std::array<bool, 2> good{true, true};
    // False: its bring-up is not done, so it is no last resort either.
    bool ready = true;
    bool brought_up = false; // by its commands
    // By Family: its gateway has answered probes; empty: as it is remembered.
    std::optional<std::array<bool, 2>> gateway_answers{};
    // What a command has just asked for; empty: as it is remembered.
    std::optional<bool> drained{};
    std::optional<uint32_t> weight{}; // 0: the configured one again
};

struct Conditions {
    // A daemon follows what happens to the links: what is missing now may come later and is no error.
    bool watched = false;
    std::map<std::string, UplinkCondition> uplinks; // by name; others are good

    [[nodiscard]] UplinkCondition of(const std::string& uplink) const {
        const auto found = uplinks.find(uplink);
        return found == uplinks.end() ? UplinkCondition{} : found->second;
    }
};

} // namespace linkbal
