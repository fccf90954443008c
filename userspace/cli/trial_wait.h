// SPDX-License-Identifier: GPL-2.0-or-later
// Waiting, while a change is on trial, for whatever ends that.
#pragma once

#include <cstdint>
#include <string>

#include "util/clock.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// While it lives nothing but SIGKILL ends the process: neither that its terminal is gone nor that
// somebody stops it. To be made while InterruptsHeld are.
class TrialWait {
  public:
    enum class Event : uint8_t {
        remembered, // what is remembered of the instance may have changed
        interrupted,
        over
    };
    static Result<TrialWait> open(const std::string& instance);
    Event wait_until(Time deadline);

  private:
    TrialWait(Fd signals, Fd files) : signals_(std::move(signals)), files_(std::move(files)) {}
    Fd signals_;
    Fd files_;
};

} // namespace linkbal
