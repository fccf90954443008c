// SPDX-License-Identifier: GPL-2.0-or-later
// Why something was not done, in words for the log and for commands.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "core/control.h"
#include "core/exit_status.h"
#include "kernel/gateway.h"

namespace linkbal {

inline std::vector<std::string> lines_of(const Refusal& refusal) {
    if (refusal.mistakes.empty()) {
        return {"linkbal: " + refusal.error.message};
    }
    std::vector<std::string> lines;
    std::ranges::transform(refusal.mistakes, std::back_inserter(lines), &ConfigError::str);
    return lines;
}

inline Answer refused(const Refusal& refusal) {
    return {.exit = refusal.mistakes.empty() ? exit_failed : exit_usage,
            .errors = lines_of(refusal)};
}

inline Answer refused(std::string message) {
    return refused(Refusal{.mistakes = {}, .error = {std::move(message), 0}});
}

} // namespace linkbal
