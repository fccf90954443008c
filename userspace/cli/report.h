// SPDX-License-Identifier: GPL-2.0-or-later
// What commands have in common: how they read the configuration and how they say what went wrong.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "core/config.h"
#include "core/config_error.h"
#include "core/control.h"
#include "kernel/gateway.h"
#include "kernel/instance.h"
#include "util/result.h"

namespace linkbal {

// Like fmt::print(), which throws where the reader is gone: that is no reason to fail.
template <typename... Args>
void print_to(std::FILE* stream, fmt::format_string<Args...> format, Args&&... args) {
    const std::string text = fmt::format(format, std::forward<Args>(args)...);
    (void)std::fwrite(text.data(), 1, text.size(), stream);
}
template <typename... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
    print_to(stdout, format, std::forward<Args>(args)...);
}

// To standard error, a line each.
void report(const Error& error);
void report(const std::vector<ConfigError>& errors);

// Empty after the errors have been reported; the exit status is then exit_usage.
std::optional<Config> read_configuration(const Options& options);

// False after one line that names what this process lacks for `command`.
bool is_allowed(std::string_view command);

// Empty after the error has been reported; the exit status is then exit_failed.
std::optional<Gateway> open_gateway(const Options& options);

// What the instance's running daemon answers, after its errors have been passed on; its exit status
// goes into `status`. Empty: there is no daemon, or (then `status` is exit_failed) it can't be asked.
std::optional<Answer> ask(const Options& options, const Request& request, int& status);

// The text of the configuration; empty after the error has been reported.
std::optional<ApplyRequest> apply_request(const Options& options);

// The exit status of a request that the instance's running daemon has carried out, after its words have
// been passed on; empty: there is no daemon, the command is to do it itself.
std::optional<int> through_daemon(const Options& options, const Request& request);

// What a command that changes an instance works with.
struct Change {
    InstanceLock lock;
    Gateway gateway;
};
// Empty after the error has been reported; the exit status is then exit_failed.
std::optional<Change> begin_change(std::string_view command, const Options& options);

// Empty after the errors have been reported, with the exit status in `status`: exit_usage where the
// configuration does not fit this machine, exit_failed where the kernel could not be asked.
std::optional<Preparation> prepare(Gateway& gateway, const Config& config, const Options& options,
                                   int& status);
// The same for the result of an own preparation.
std::optional<Preparation> accepted(tl::expected<Preparation, Refusal> preparation, int& status);
// The exit status for it, after its errors have been reported.
int report(const Refusal& refusal);

// With -v each action is shown as it is done, in the notation of `plan`.
void show_progress(const Action& action, const NotationContext& notation);

} // namespace linkbal
