// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "util/result.h"

namespace linkbal::pktgen {

// A device in a named network namespace, as "NAMESPACE:DEVICE".
struct Port {
    std::string netns;
    std::string device;

    [[nodiscard]] static Result<Port> parse(const std::string& text);
};

// Moves this thread into the namespace of the port for good; returns the device's index in it.
[[nodiscard]] Result<unsigned> enter(const Port& port);

} // namespace linkbal::pktgen
