// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "live.h"
#include "netns.h"

namespace linkbal::pktgen {

struct FarEnd {
    std::string device; // in the gateway
    Mac mac{};          // of its other end

    // "DEVICE,MAC"
    [[nodiscard]] static Result<FarEnd> parse(const std::string& text);
};

// Makes the device send what it receives on to the two far ends, as long as it exists.
[[nodiscard]] Status redirect(const Port& port, const std::vector<FarEnd>& far_ends);

} // namespace linkbal::pktgen
