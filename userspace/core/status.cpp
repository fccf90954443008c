// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/status.h"

namespace linkbal {

std::string_view verdict_name(Verdict verdict) {
    switch (verdict) {
    case Verdict::good:
        return "good";
    case Verdict::bad:
        return "bad";
    case Verdict::unknown:
        break;
    }
    return "unknown";
}

std::string_view uplink_state_name(UplinkState state) {
    switch (state) {
    case UplinkState::up:
        return "up";
    case UplinkState::down:
        return "down";
    case UplinkState::draining:
        break;
    }
    return "draining";
}

} // namespace linkbal
