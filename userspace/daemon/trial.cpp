// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/trial.h"

#include <spdlog/spdlog.h>

#include "core/confirmation.h"
#include "kernel/confirmation.h"
#include "kernel/instance.h"

namespace linkbal {

namespace {

// A command that is at work on the same instance without us takes less.
constexpr std::chrono::seconds lock_patience{2};
// When it could not go back, which must not be left at that.
constexpr std::chrono::seconds again_after{1};

template <typename Step>
Status locked(const std::string& instance, Step step) {
    const auto lock = InstanceLock::acquire(instance, lock_patience);
    return lock ? step() : tl::unexpected(lock.error());
}

} // namespace

std::optional<std::string> Trial::words() const {
    if (!deadline_) {
        return std::nullopt;
    }
    const auto end = std::chrono::ceil<std::chrono::milliseconds>(deadline_->time_since_epoch());
    return waiting_words(Unconfirmed{.deadline = end, .text = {}, .former = {}}, Clock::now(),
                         "the daemon keeps the time");
}

void Trial::wait_until(Time deadline) {
    deadline_ = deadline;
    timer_.expires_at(deadline);
    timer_.async_wait([this](const error_code& error) {
        if (!error) {
            over_();
        }
    });
}

Status Trial::begin(const std::string& text, uint32_t seconds) {
    const Time limit = Clock::now() + std::chrono::seconds(seconds);
    return locked(instance_, [&] { return begin_trial(instance_, text, limit); });
}

Status Trial::made(uint32_t seconds) {
    const Time deadline = Clock::now() + std::chrono::seconds(seconds);
    wait_until(deadline);
    return locked(instance_, [&] { return restart_trial(instance_, deadline); });
}

Status Trial::end() {
    const auto ended = locked(instance_, [&] { return end_trial(instance_); });
    if (ended) {
        forget();
    }
    return ended;
}

void Trial::forget() {
    deadline_.reset();
    timer_.cancel();
}

Status Trial::end_stale() {
    return locked(instance_, [&] { return end_stale_trial(instance_); });
}

Result<Config> Trial::return_to() {
    const auto begun = locked(instance_, [&] { return begin_return(instance_); });
    const auto memory = begun ? read_memory(instance_) : tl::unexpected(begun.error());
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    return memory->unconfirmed && memory->unconfirmed->former
               ? former_config(*memory->unconfirmed->former)
               : fail("nobody has kept what was there before");
}

Status Trial::returned() {
    forget();
    return locked(instance_, [&] { return end_return(instance_); });
}

void Trial::try_again() { wait_until(Clock::now() + again_after); }

void log_unnoted(const Status& noted) {
    if (!noted) {
        spdlog::error("what has become of the change on trial can't be noted: {}",
                      noted.error().message);
    }
}

} // namespace linkbal
