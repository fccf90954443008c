// SPDX-License-Identifier: GPL-2.0-or-later
// The options of iptables(8) that have a value.
#pragma once

#include <string>
#include <string_view>

#include "core/import/rule.h"

namespace linkbal {

// Takes an option's value over into a rule; false: the value isn't understood.
using RuleSetter = bool (*)(PacketRule& rule, const std::string& value);

// nullptr: it is no such option.
[[nodiscard]] RuleSetter rule_setter(std::string_view option);

} // namespace linkbal
