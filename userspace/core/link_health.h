// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a link is good, from probes, real connections and time: pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace linkbal {

enum class Verdict : uint8_t { unknown, good, bad };

// Of one uplink and one family, at a moment.
struct Judgement {
    Verdict verdict = Verdict::unknown;
    std::string reason; // a phrase without a full stop: "2 of 2 targets answer"
    std::optional<std::chrono::microseconds> latency, jitter; // means over the window
    std::optional<double> loss;                               // 0 to 1, of the probes of the window
    bool operator==(const Judgement&) const = default;
};

} // namespace linkbal
