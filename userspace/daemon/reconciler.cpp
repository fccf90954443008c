// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/reconciler.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "core/repair.h"
#include "kernel/instance.h"

namespace linkbal {

namespace {

// A command that is at work on the same instance without us takes less.
constexpr std::chrono::seconds lock_patience{2};

tl::unexpected<Refusal> refused(const Error& error) {
    return tl::unexpected(Refusal{.mistakes = {}, .error = error});
}

} // namespace

Status Reconciler::apply(const Preparation& preparation, Occasion occasion, Pass& pass) {
    // What goes with a link that has moved is nobody's doing, and what is asked for is not held back.
    const bool repair = occasion == Occasion::routine && !expecting_ && applied_ &&
                        is_repair(preparation.plan, *applied_);
    if (repair && !budget_.take(Clock::now())) {
        pass.postponed = budget_.next();
        if (!std::exchange(postponing_, true)) {
            spdlog::warn(
                "somebody keeps undoing what is ours: from now on it is put right once in a "
                "while only");
        }
        return {};
    }
    const auto progress = [&](const Action& action, const NotationContext& notation) {
        pass.programs_loaded |= std::holds_alternative<LoadPrograms>(action);
        pass.actions.push_back(action_notation(action, notation));
        for (const std::string& line : pass.actions.back()) {
            spdlog::log(repair ? spdlog::level::warn : spdlog::level::debug, "{}{}",
                        repair ? "somebody else has undone this, putting it right: " : "", line);
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

tl::expected<Preparation, Refusal> Reconciler::prepare(Occasion occasion, const Config& config,
                                                       const std::string& file, const Judge& judge,
                                                       Pass& pass) {
    auto seen = gateway_.observe_now();
    if (!seen) {
        return refused(seen.error());
    }
    pass.facts = seen->facts;
    if (occasion == Occasion::request) {
        return gateway_.prepare(config, file, *seen, judge(seen->facts));
    }
    auto preparation = gateway_.compare_with(config, *seen, judge(seen->facts));
    return preparation ? tl::expected<Preparation, Refusal>(*std::move(preparation))
                       : refused(preparation.error());
}

tl::expected<Reconciler::Pass, Refusal> Reconciler::look_and_apply(Occasion occasion,
                                                                   const Config& config,
                                                                   const std::string& file,
                                                                   const Judge& judge) {
    Pass done{};
    const auto preparation = prepare(occasion, config, file, judge, done);
    if (!preparation) {
        return tl::unexpected(preparation.error());
    }
    done.desired = preparation->desired;
    if (!std::exchange(warned_, true)) {
        for (const std::string& line : preparation->warnings) {
            spdlog::warn("{}", line);
        }
    }
    if (!preparation->plan.empty() || preparation->to_remember) {
        if (const auto applied = apply(*preparation, occasion, done); !applied) {
            return refused(applied.error());
        }
    } else {
        applied_ = preparation->desired.state;
        expecting_ = false;
        postponing_ = false;
    }
    return done;
}

tl::expected<Reconciler::Pass, Refusal> Reconciler::pass(Occasion occasion, const Config& config,
                                                         const std::string& file,
                                                         const Judge& judge) {
    // What is routine can wait for whoever is at work; a request waits itself, and so does the first
    // pass, on which it depends if there is a daemon at all.
    const bool waits = occasion != Occasion::routine || !applied_;
    const auto lock =
        InstanceLock::acquire(gateway_.instance(), waits ? lock_patience : std::chrono::seconds(0));
    if (!lock) {
        return refused(lock.error());
    }
    auto done = look_and_apply(occasion, config, file, judge);
    // Again for each device that would not have XDP, which is known only when it is asked.
    while (!done && gateway_.take_xdp_refusal()) {
        spdlog::warn("{}: going on without XDP there", done.error().error.message);
        done = look_and_apply(occasion, config, file, judge);
    }
    return done;
}

tl::expected<Reconciler::Pass, Refusal>
Reconciler::preview(const Config& config, const std::string& file, const Judge& judge) {
    Pass done{};
    const auto preparation = prepare(Occasion::request, config, file, judge, done);
    if (!preparation) {
        return tl::unexpected(preparation.error());
    }
    for (const Action& action : preparation->plan) {
        done.actions.push_back(action_notation(action, preparation->notation));
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
