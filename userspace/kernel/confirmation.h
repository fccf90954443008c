// SPDX-License-Identifier: GPL-2.0-or-later
// `linkbal up --confirm`: the steps of core/confirmation.h, kept below /run, and going back. Whoever calls
// these holds the instance's lock.
#pragma once

#include <string>

#include "kernel/gateway.h"
#include "util/clock.h"
#include "util/result.h"

namespace linkbal {

// Before the change is made. `text` is that of the new configuration.
Status begin_trial(const std::string& instance, const std::string& text, Time deadline);
// The change is made: the time begins now.
Status restart_trial(const std::string& instance, Time deadline);
// It is confirmed, or was never made.
Status end_trial(const std::string& instance);
// Before and after what was there is made again.
Status begin_return(const std::string& instance);
Status end_return(const std::string& instance);
// A configuration is applied for good, and what is left of a change before it must not take it back.
Status end_stale_trial(const std::string& instance);

// All that is needed where no daemon is at work; nothing where no change waits. If it fails, the next one
// who tries begins anew.
Status go_back(Gateway& gateway, const Progress& progress);

// What was at work before, read again; to be called where there was something.
Result<Config> former_config(const FormerGateway& former);

} // namespace linkbal
