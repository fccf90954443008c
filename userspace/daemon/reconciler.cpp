// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/reconciler.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "kernel/instance.h"

namespace linkbal {

namespace {

// A command that is at work on the same instance without us takes less.
constexpr std::chrono::seconds lock_patience{2};

} // namespace

// The same is wanted as before, no link has moved, and yet it is not there. What is to be remembered,
// as a command's order that changes nothing at the moment, can't wait for the budget.
bool Reconciler::is_repair(const Preparation& preparation) const {
    return !expecting_ && !preparation.plan.empty() && !preparation.to_remember &&
           applied_ == preparation.desired.state && preparation.desired.ended.empty();
}

Status Reconciler::apply(const Preparation& preparation, Pass& pass) {
    const bool repair = is_repair(preparation);
    if (repair && !budget_.take(Clock::now())) {
        pass.postponed = budget_.next();
        return {};
    }
    const auto progress = [&](const Action& action, const NotationContext& notation) {
        pass.programs_loaded |= std::holds_alternative<LoadPrograms>(action);
        for (std::string& line : action_notation(action, notation)) {
            spdlog::log(repair ? spdlog::level::warn : spdlog::level::debug, "{}{}",
                        repair ? "somebody else has undone this, putting it right: " : "", line);
            pass.done.push_back(std::move(line));
        }
    };
    auto applied = gateway_.apply(preparation, progress);
    for (const std::string& line : gateway_.warnings()) {
        spdlog::warn("{}", line);
    }
    if (applied) {
        applied_ = preparation.desired.state;
        expecting_ = false;
    }
    return applied;
}

tl::expected<Reconciler::Pass, Refusal>
Reconciler::pass(const Config& config, const std::string& file, const Judge& judge) {
    const auto refused = [](const Error& error) {
        return tl::unexpected(Refusal{.mistakes = {}, .error = error});
    };
    const auto lock = InstanceLock::acquire(gateway_.instance(), lock_patience);
    if (!lock) {
        return refused(lock.error());
    }
    auto seen = gateway_.observe_now();
    if (!seen) {
        return refused(seen.error());
    }
    const auto preparation = gateway_.prepare(config, file, *seen, judge(seen->facts));
    if (!preparation) {
        return tl::unexpected(preparation.error());
    }
    Pass done{.facts = std::move(seen->facts),
              .desired = preparation->desired,
              .done = {},
              .postponed = std::nullopt};
    if (!preparation->plan.empty() || preparation->to_remember) {
        if (const auto applied = apply(*preparation, done); !applied) {
            return refused(applied.error());
        }
    } else {
        applied_ = preparation->desired.state;
        expecting_ = false;
    }
    return done;
}

Result<bool> Reconciler::remove() {
    const auto lock = InstanceLock::acquire(gateway_.instance(), lock_patience);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    return gateway_.remove([](const Action& action, const NotationContext& notation) {
        for (const std::string& line : action_notation(action, notation)) {
            spdlog::debug("{}", line);
        }
    });
}

} // namespace linkbal
