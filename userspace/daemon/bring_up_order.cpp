// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/bring_up_order.h"

#include <algorithm>
#include <optional>

#include "daemon/log.h"

namespace linkbal {

namespace {

bool has_commands(const UplinkConfig& uplink) {
    return !uplink.bring_up.empty() || !uplink.log_in.empty() || !uplink.test.empty();
}

} // namespace

// Shared with the coroutines, which may outlive their owner by a moment.
struct BringUpOrder::State {
    State(asio::io_context& context_of_all, std::string name, Callbacks functions,
          BringUpPauses of_all)
        : context(&context_of_all), instance(std::move(name)), callbacks(std::move(functions)),
          pauses(of_all) {}

    struct Link {
        bool running = false;                           // or it has its turn soon
        std::optional<std::chrono::milliseconds> pause; // the next one; none: the first
        std::shared_ptr<asio::steady_timer> again;      // none: it does not wait
    };
    asio::io_context* context;
    std::string instance;
    Callbacks callbacks;
    BringUpPauses pauses;
    Processes* processes = nullptr; // none: stopped
    Changes* changes = nullptr;
    std::map<std::string, Link> links;
};

BringUpOrder::BringUpOrder(asio::io_context& context, std::string instance, Callbacks callbacks,
                           BringUpPauses pauses)
    : context_(&context), changes_(context), processes_(context),
      state_(std::make_shared<State>(context, std::move(instance), std::move(callbacks), pauses)) {
    state_->processes = &processes_;
    state_->changes = &changes_;
}

BringUpOrder::~BringUpOrder() {
    state_->processes = nullptr;
    for (auto& [name, link] : state_->links) {
        if (link.again) {
            link.again->cancel();
        }
    }
}

void BringUpOrder::start(std::vector<UplinkConfig> uplinks) {
    std::erase_if(uplinks, [](const UplinkConfig& uplink) { return !has_commands(uplink); });
    for (const UplinkConfig& uplink : uplinks) {
        state_->links[uplink.name].running = true;
        state_->callbacks.ready(uplink.name, "waits for its turn to be brought up");
    }
    asio::co_spawn(*context_, one_after_the_other(state_, std::move(uplinks)), asio::detached);
}

asio::awaitable<void> BringUpOrder::one_after_the_other(std::shared_ptr<State> state,
                                                        std::vector<UplinkConfig> uplinks) {
    for (const UplinkConfig& uplink : uplinks) {
        co_await bring_up(state, uplink);
    }
}

asio::awaitable<void> BringUpOrder::bring_up(std::shared_ptr<State> state, UplinkConfig uplink) {
    if (state->processes == nullptr) {
        co_return;
    }
    state->links[uplink.name].running = true;
    const auto place = [state, name = uplink.name] { return state->callbacks.place(name); };
    BringUp job{.instance = state->instance,
                .uplink = uplink,
                .mark = state->callbacks.mark(uplink.name),
                .processes = state->processes,
                .changes = state->changes,
                .place = place};
    const Status done = co_await bring_up_link(std::move(job));
    if (state->processes == nullptr) {
        co_return;
    }
    state->links[uplink.name].running = false;
    if (done) {
        state->links[uplink.name].pause.reset();
        log_event(spdlog::level::info, "brought up", {{"uplink", uplink.name}});
        state->callbacks.ready(uplink.name, std::nullopt);
        co_return;
    }
    log_event(spdlog::level::warn, "not brought up",
              {{"uplink", uplink.name}, {"reason", done.error().message}});
    state->callbacks.ready(uplink.name, done.error().message);
    try_again(state, uplink);
}

void BringUpOrder::try_again(const std::shared_ptr<State>& state, const UplinkConfig& uplink) {
    State::Link& link = state->links[uplink.name];
    const auto pause = link.pause.value_or(state->pauses.first);
    link.again = std::make_shared<asio::steady_timer>(*state->context, pause);
    link.pause = std::min(2 * pause, state->pauses.longest);
    link.again->async_wait([state, uplink, timer = link.again](const error_code& error) {
        if (!error && state->processes != nullptr && state->links[uplink.name].again == timer) {
            state->links[uplink.name].again.reset();
            state->links[uplink.name].running = true;
            asio::co_spawn(*state->context, bring_up(state, uplink), asio::detached);
        }
    });
}

void BringUpOrder::on_down(const UplinkConfig& uplink) {
    State::Link& link = state_->links[uplink.name];
    if (has_commands(uplink) && !link.running && !link.again) {
        try_again(state_, uplink);
    }
}

void BringUpOrder::on_up(const std::string& uplink) {
    State::Link& link = state_->links[uplink];
    link.pause.reset();
    if (link.again) {
        link.again->cancel();
        link.again.reset(); // the next time that it goes down is another one
    }
}

} // namespace linkbal
