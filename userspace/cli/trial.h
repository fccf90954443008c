// SPDX-License-Identifier: GPL-2.0-or-later
// `linkbal up --confirm` where no daemon is at work, and what is in the way of other commands then.
#pragma once

#include "cli/report.h"
#include "core/config.h"

namespace linkbal {

// False after the error has been reported: a change waits for its confirmation, or can't go back. One
// that nobody waits for any more, because the process was killed, goes back here.
bool clear_of_trials(Gateway& gateway);

// Applies, and stays until the change is confirmed or taken back; the exit status. To be called while
// InterruptsHeld are.
int up_on_trial(Change change, const Config& config, const Options& options);

} // namespace linkbal
