// SPDX-License-Identifier: GPL-2.0-or-later
// What commands have in common: how they read the configuration and how they say what went wrong.
#pragma once

#include <optional>
#include <vector>

#include "cli/command.h"
#include "core/config.h"
#include "core/config_error.h"
#include "kernel/gateway.h"
#include "util/result.h"

namespace linkbal {

// To standard error, a line each.
void report(const Error& error);
void report(const std::vector<ConfigError>& errors);

// Empty after the errors have been reported; the exit status is then exit_usage.
std::optional<Config> read_configuration(const Options& options);

// Empty after the errors have been reported, with the exit status in `status`: exit_usage where the
// configuration does not fit this machine, exit_failed where the kernel could not be asked.
std::optional<Preparation> prepare(Gateway& gateway, const Config& config, const Options& options,
                                   int& status);

// With -v each action is shown as it is done, in the notation of `plan`.
void show_progress(const Action& action, const NotationContext& notation);

} // namespace linkbal
