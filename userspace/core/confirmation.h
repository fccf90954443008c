// SPDX-License-Identifier: GPL-2.0-or-later
// `linkbal up --confirm`: what is remembered at each step, so that whoever comes next knows how to go
// back. Pure: from what is remembered to what is to be remembered.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/memory.h"
#include "util/clock.h"
#include "util/result.h"

namespace linkbal {

// Before the change: what is at work becomes what it goes back to. `text` is the new configuration's.
// Error: nobody has kept what is at work.
Result<Memory> on_trial(Memory memory, const std::string& text, Time deadline);
// It has that much time, from now on.
Memory until(Memory memory, Time deadline);
// The change stays; or it was never made.
Memory confirmed(Memory memory);
// Before it goes back to what there was: uplinks that have been forgotten since have their ids, tables
// and orders again.
Memory returning(Memory memory);
// It has gone back.
Memory returned(Memory memory);
// A configuration has been applied for good: what is still noted of a change on trial is stale, because
// its end could not be written.
Memory superseded(Memory memory);

// Nothing has been applied, and nothing waits.
bool is_nothing(const Memory& memory);

// The sysctls that an unconfirmed change has changed beyond what was before, while it goes back.
std::vector<std::string> sysctls_to_return(const Memory& memory);

// What a daemon that starts with a file of this text uses in its place: nobody has confirmed that one.
std::optional<ConfigSource> in_place_of(const std::string& text, const Memory& memory);

inline constexpr std::string_view nothing_to_confirm = "there is nothing to confirm";

// 0: it is over.
std::chrono::seconds time_left(const Unconfirmed& change, Time now);
// "a change waits for its confirmation (process 4711, 42 s are left): ...", for those who are refused.
std::string waiting_words(const Unconfirmed& change, Time now, const std::string& who);

} // namespace linkbal
