// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/report.h"

#include <chrono>
#include <cstdio>
#include <filesystem>

#include <spdlog/spdlog.h>

#include "core/config_file.h"
#include "daemon/control_client.h"
#include "kernel/libbpf_log.h"
#include "kernel/privileges.h"
#include "util/file.h"

namespace linkbal {

namespace {

// How long a command waits for another one that is changing the same instance.
constexpr std::chrono::seconds lock_patience{10};

} // namespace

void report(const Error& error) {
    print_to(stderr, "linkbal: {}\n", error.message);
    if (const std::string& log = failed_load_log(); !log.empty()) {
        spdlog::info("the verifier's log:\n{}", log);
    }
}

void report(const std::vector<ConfigError>& errors) {
    for (const ConfigError& error : errors) {
        print_to(stderr, "{}\n", error.str());
    }
}

std::optional<Config> read_configuration(const Options& options) {
    auto config = load_config(options.config);
    if (!config) {
        report(config.error());
        return std::nullopt;
    }
    return *std::move(config);
}

bool is_allowed(std::string_view command) {
    const auto allowed = require_capabilities(command);
    if (!allowed) {
        report(allowed.error());
    }
    return allowed.has_value();
}

std::optional<Gateway> open_gateway(const Options& options) {
    auto gateway = Gateway::open(options.instance);
    if (!gateway) {
        report(gateway.error());
        return std::nullopt;
    }
    return *std::move(gateway);
}

std::optional<Change> begin_change(std::string_view command, const Options& options) {
    if (!is_allowed(command)) {
        return std::nullopt;
    }
    auto lock = InstanceLock::acquire(options.instance, lock_patience);
    if (!lock) {
        report(lock.error());
        return std::nullopt;
    }
    auto gateway = open_gateway(options);
    return gateway ? std::optional(Change{*std::move(lock), *std::move(gateway)}) : std::nullopt;
}

std::optional<Answer> ask(const Options& options, const Request& request, int& status) {
    auto answer = ask_daemon(options.instance, request);
    if (!answer) {
        report(answer.error());
        status = exit_failed;
        return std::nullopt;
    }
    if (*answer) {
        status = (*answer)->exit;
        for (const std::string& line : (*answer)->errors) {
            print_to(stderr, "{}\n", line);
        }
    }
    return *std::move(answer);
}

std::optional<ApplyRequest> apply_request(const Options& options) {
    auto text = read_file(options.config);
    if (!text) {
        report(text.error());
        return std::nullopt;
    }
    std::error_code ignored;
    const auto file = std::filesystem::absolute(options.config, ignored);
    return ApplyRequest{.file = file.string(), .text = *std::move(text)};
}

std::optional<int> through_daemon(const Options& options, const Request& request) {
    int status = exit_done;
    const auto answer = ask(options, request, status);
    if (!answer) {
        return status == exit_done ? std::nullopt : std::optional(status);
    }
    for (const auto& action : answer->actions) {
        spdlog::info("{}", fmt::join(action, "\n"));
    }
    for (const std::string& line : answer->output) {
        print("{}\n", line);
    }
    return status;
}

int report(const Refusal& refusal) {
    if (refusal.mistakes.empty()) {
        report(refusal.error);
        return exit_failed;
    }
    report(refusal.mistakes);
    return exit_usage;
}

std::optional<Preparation> prepare(Gateway& gateway, const Config& config, const Options& options,
                                   int& status) {
    return accepted(gateway.prepare(config, options.config), status);
}

std::optional<Preparation> accepted(tl::expected<Preparation, Refusal> preparation, int& status) {
    if (!preparation) {
        status = report(preparation.error());
        return std::nullopt;
    }
    for (const std::string& line : preparation->warnings) {
        spdlog::warn("{}", line);
    }
    return *std::move(preparation);
}

void show_progress(const Action& action, const NotationContext& notation) {
    for (const std::string& line : action_notation(action, notation)) {
        spdlog::info("{}", line);
    }
}

} // namespace linkbal
