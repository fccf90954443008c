// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "core/config.h"
#include "core/facts.h"

namespace linkbal {

// A line of warning if the firewall or a port forward of `config` would keep out who runs this command.
// Not the daemon's business, which nobody's session has started: each command asks for itself.
void warn_of_lockout(const Config& config, const Facts& facts);
// The same, by what is seen now; silent where nothing can be seen, since the command itself will say so.
void warn_of_lockout(const Config& config);

} // namespace linkbal
