// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/bring_up_order.h"

#include <algorithm>
#include <map>

#include "daemon/log.h"
#include "util/clock.h"

namespace linkbal {

bool has_commands(const UplinkConfig& uplink) {
    return !uplink.bring_up.empty() || !uplink.log_in.empty() || !uplink.test.empty();
}

// Shared with the coroutines, which may outlive their owner by a moment.
struct BringUpOrder::State {
    State(asio::io_context& context_of_all, std::string name, Callbacks functions,
          BringUpPauses of_all)
        : context(&context_of_all), instance(std::move(name)), callbacks(std::move(functions)),
          pauses(of_all) {}

    struct Link {
        bool on_its_way = false;                        // waits for its turn, or its commands run
        std::optional<std::chrono::milliseconds> pause; // the next one; none: the first
        std::shared_ptr<asio::steady_timer> again;      // none: nothing to try again
    };
    asio::io_context* context;
    std::string instance;
    Callbacks callbacks;
    BringUpPauses pauses;
    Processes* processes = nullptr; // none: the owner is gone
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
    state_->links.clear();
}

void BringUpOrder::start(const std::vector<std::string>& uplinks) {
    std::vector<std::string> in_order;
    for (const std::string& uplink : uplinks) {
        State::Link& link = state_->links[uplink];
        if (!link.on_its_way && !link.again) {
            link.on_its_way = true;
            in_order.push_back(uplink);
            state_->callbacks.ready(uplink, "waits for its turn to be brought up");
        }
    }
    if (!in_order.empty()) {
        asio::co_spawn(*context_, one_after_the_other(state_, std::move(in_order)), asio::detached);
    }
}

asio::awaitable<void> BringUpOrder::one_after_the_other(std::shared_ptr<State> state,
                                                        std::vector<std::string> uplinks) {
    for (const std::string& uplink : uplinks) {
        co_await bring_up(state, uplink);
    }
}

asio::awaitable<void> BringUpOrder::bring_up(std::shared_ptr<State> state, std::string uplink) {
    const auto config =
        state->processes != nullptr ? state->callbacks.config(uplink) : std::nullopt;
    if (!config) {
        state->links.erase(uplink);
        co_return;
    }
    state->links[uplink].on_its_way = true;
    BringUp job{.instance = state->instance,
                .uplink = *config,
                .mark = state->callbacks.mark(uplink),
                .processes = state->processes,
                .changes = state->changes,
                .place = [state, uplink] { return state->callbacks.place(uplink); }};
    const Status done = co_await bring_up_link(std::move(job));
    if (state->processes == nullptr) {
        co_return;
    }
    state->links[uplink].on_its_way = false;
    // Whatever the commands say, the link is up only when it is seen to be: on_up() ends the trying.
    try_again(state, uplink);
    if (done) {
        log_event(spdlog::level::info, "brought up", {{"uplink", uplink}});
        state->callbacks.ready(uplink, std::nullopt);
    } else {
        log_event(spdlog::level::warn, "not brought up",
                  {{"uplink", uplink}, {"reason", done.error().message}});
        state->callbacks.ready(uplink, done.error().message);
    }
}

void BringUpOrder::try_again(const std::shared_ptr<State>& state, const std::string& uplink) {
    State::Link& link = state->links[uplink];
    const auto pause = link.pause.value_or(state->pauses.first);
    link.again = std::make_shared<asio::steady_timer>(*state->context, pause);
    link.pause = std::min(2 * pause, state->pauses.longest);
    link.again->async_wait([state, uplink](const error_code& error) {
        if (!error && state->processes != nullptr) {
            state->links[uplink].again.reset();
            asio::co_spawn(*state->context, bring_up(state, uplink), asio::detached);
        }
    });
}

void BringUpOrder::on_down(const std::string& uplink) {
    const auto config = state_->callbacks.config(uplink);
    const State::Link& link = state_->links[uplink];
    if (config && has_commands(*config) && !link.on_its_way && !link.again) {
        try_again(state_, uplink);
    }
}

void BringUpOrder::on_up(const std::string& uplink) {
    State::Link& link = state_->links[uplink];
    link.pause.reset();
    link.again.reset(); // which cancels it
}

} // namespace linkbal
