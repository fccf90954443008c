// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/hooks.h"

#include <deque>

#include "daemon/log.h"
#include "daemon/process.h"

namespace linkbal {

// Shared with the coroutine, which may have one more step to go when the object is gone.
struct Hooks::State {
    State(asio::io_context& context, HooksConfig configured, std::string name)
        : config(std::move(configured)), instance(std::move(name)),
          processes(std::make_unique<Processes>(context)) {}

    HooksConfig config;
    std::string instance;
    std::deque<LinkChange> waiting;
    std::unique_ptr<Processes> processes; // none: the object is gone
    bool working = false;
};

namespace {

ProcessSpec hook_command(const HooksConfig& config, const std::string& instance,
                         const LinkChange& change) {
    return {.words = config.on_change,
            .environment = change_environment(instance, change),
            .time_limit = config.timeout,
            .title = fmt::format("hook {} {}", event_name(change.event), change.link.uplink)};
}

void report(const LinkChange& change, const std::string& program, const ProcessResult& result) {
    log_event(spdlog::level::warn, "hook failed",
              {{"hook", program},
               {"event", event_name(change.event)},
               {"uplink", change.link.uplink},
               {"reason", result.describe()}});
}

void report_dropped(const LinkChange& change) {
    log_event(spdlog::level::warn, "hook too slow: a change is not told to it",
              {{"event", event_name(change.event)},
               {"uplink", change.link.uplink},
               {"state", change.state}});
}

} // namespace

Hooks::Hooks(asio::io_context& context, HooksConfig config, std::string instance)
    : context_(&context),
      state_(std::make_shared<State>(context, std::move(config), std::move(instance))) {}

Hooks::~Hooks() {
    state_->waiting.clear();
    state_->processes.reset();
}

void Hooks::changed(const LinkChange& change) {
    if (state_->config.on_change.empty()) {
        return;
    }
    if (state_->waiting.size() == queue_limit) {
        report_dropped(state_->waiting.front());
        state_->waiting.pop_front();
    }
    state_->waiting.push_back(change);
    if (!state_->working) {
        state_->working = true;
        asio::co_spawn(*context_, work(state_), asio::detached);
    }
}

void Hooks::reconfigure(HooksConfig config) {
    state_->config = std::move(config);
    if (state_->config.on_change.empty()) {
        state_->waiting.clear();
    }
}

asio::awaitable<void> Hooks::work(std::shared_ptr<State> state) {
    while (!state->waiting.empty()) {
        const LinkChange change = std::move(state->waiting.front());
        state->waiting.pop_front();
        ProcessSpec command = hook_command(state->config, state->instance, change);
        const std::string program = command.words.front();
        const ProcessResult result = co_await state->processes->run(std::move(command));
        if (!result.succeeded() && state->processes) {
            report(change, program, result);
        }
    }
    state->working = false;
}

} // namespace linkbal
