// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/target_health.h"

#include <algorithm>

#include <fmt/format.h>

namespace linkbal {

namespace {

constexpr std::chrono::milliseconds fast_interval{200}; // LinkHealth::interval() at its shortest
constexpr uint32_t smallest_sample = 5;                 // probes that thresholds are judged by

// All that can still be out, behind all that is looked back at.
size_t remembered(const HealthConfig& config) {
    const auto outstanding = config.timeout / std::min(config.interval, fast_interval) + 2;
    return std::max({config.window, config.down_after, config.up_after}) +
           static_cast<size_t>(outstanding);
}

// Hysteresis: back only below three quarters.
template <typename Value, typename Limit>
void judge_threshold(bool& beyond, const std::optional<Value>& value,
                     const std::optional<Limit>& limit) {
    if (!value || !limit) {
        return;
    }
    if (*value > *limit) {
        beyond = true;
    } else if (4 * *value < 3 * *limit) {
        beyond = false;
    }
}

int64_t milliseconds(Clock::duration duration) {
    return std::chrono::round<std::chrono::milliseconds>(duration).count();
}

} // namespace

TargetHealth::TargetHealth(const HealthConfig& config, bool is_gateway, Verdict initial)
    : config_(config), is_gateway_(is_gateway), initial_(initial),
      history_(remembered(config), config.timeout), answering_(initial) {}

uint64_t TargetHealth::sent(Time now) {
    if (history_.next() == 0) {
        first_sent_ = now;
    }
    return history_.sent(now);
}

void TargetHealth::answered(uint64_t id, Time now) {
    const auto round_trip = history_.answered(id, now);
    if (!round_trip) {
        return;
    }
    if (!is_evidence()) {
        evident_ = id;
    }
    round_trip_.add(*round_trip);
    youngest_answered_ = ever_answered() ? std::max(youngest_answered_, id) : id;
    last_answer_ = now;
    // What was missed after that probe is due no longer, however late the answer: with its sample
    // patience is at least its round trip, and younger probes have been out for less.
    run_ = std::max(run_, id + 1);
}

void TargetHealth::update(Time now) {
    settled_ = std::max(settled_, history_.oldest());
    while (settled_ < history_.next() &&
           (history_.is_answered(settled_) || history_.is_lost(settled_, now))) {
        ++settled_;
    }
    if (!is_evidence()) {
        return;
    }
    const bool back = answering_ == Verdict::unknown ? ever_answered()
                                                     : answers_in_a_row(now) >= config_.up_after;
    if (is_silent(now)) {
        answering_ = Verdict::bad;
    } else if (answering_ != Verdict::good && back) {
        answering_ = Verdict::good;
    }
    update_thresholds();
}

void TargetHealth::update_thresholds() {
    if (!has_thresholds()) {
        return;
    }
    const auto found = statistics();
    if (found.count() < smallest_sample || 2 * found.count() < config_.window) {
        return;
    }
    judge_threshold(too_lossy_, std::optional(100 * found.loss().value()), config_.max_loss);
    judge_threshold(too_slow_, found.latency(), config_.max_latency);
    judge_threshold(too_uneven_, found.jitter(), config_.max_jitter);
}

Verdict TargetHealth::verdict() const { return beyond_threshold() ? Verdict::bad : answering_; }

bool TargetHealth::has_thresholds() const {
    return config_.max_loss || config_.max_latency || config_.max_jitter;
}

bool TargetHealth::beyond_threshold() const { return too_lossy_ || too_slow_ || too_uneven_; }

Clock::duration TargetHealth::patience() const {
    return std::min<Clock::duration>(config_.timeout,
                                     round_trip_.bound().value_or(config_.timeout));
}

std::optional<uint64_t> TargetHealth::youngest_due(Time now) const {
    for (uint64_t id = history_.next(); id > history_.oldest();) {
        if (now - history_.sent_at(--id) >= patience()) {
            return id;
        }
    }
    return std::nullopt;
}

bool TargetHealth::is_silent(Time now) const {
    const auto due = youngest_due(now);
    return due && *due + 1 >= run_ + config_.down_after;
}

Clock::duration TargetHealth::silent_for(Time now) const {
    return now - last_answer_.value_or(first_sent_);
}

uint32_t TargetHealth::answers_in_a_row(Time now) const {
    if (!ever_answered()) {
        return 0;
    }
    const uint64_t youngest = std::max(youngest_answered_, youngest_due(now).value_or(0));
    uint32_t count = 0;
    for (uint64_t id = youngest + 1; id > history_.oldest() && count < config_.up_after; ++count) {
        if (!history_.is_answered(--id)) {
            break;
        }
    }
    return count;
}

bool TargetHealth::excused_by(Time success, Time now) const {
    const auto due = youngest_due(now);
    if (!due || too_slow_ || too_uneven_) {
        return false;
    }
    const uint64_t before = config_.down_after - 1;
    const uint64_t first = *due >= history_.oldest() + before ? *due - before : history_.oldest();
    // A packet that came in until just after the probe left may be of before the link died.
    return success > history_.sent_at(first) + patience();
}

ProbeStatistics TargetHealth::statistics() const {
    const uint64_t first = settled_ > config_.window ? settled_ - config_.window : 0;
    return history_.statistics(std::max(first, evident_), settled_);
}

std::string TargetHealth::exceeded(const std::string& name) const {
    const auto found = statistics();
    if (too_lossy_) {
        return fmt::format("loss {:.0f} % of {} above {} %", 100 * found.loss().value_or(1), name,
                           *config_.max_loss);
    }
    if (too_slow_) {
        return fmt::format("latency {} ms of {} above {} ms",
                           milliseconds(found.latency().value_or(config_.timeout)), name,
                           config_.max_latency->count());
    }
    return fmt::format("jitter {} ms of {} above {} ms",
                       milliseconds(found.jitter().value_or(config_.timeout)), name,
                       config_.max_jitter->count());
}

std::optional<Time> TargetHealth::next_deadline(Time now) const {
    const auto due = youngest_due(now);
    uint64_t id = due ? *due + 1 : 0;
    if (due && verdict() == Verdict::good) {
        id = std::max(id, run_ + config_.down_after - 1);
    }
    std::optional<Time> result;
    if (id < history_.next()) {
        result = history_.sent_at(id) + patience();
    }
    if (has_thresholds() && settled_ < history_.next()) {
        // Lost is what has been out for longer.
        const Time lost = history_.sent_at(settled_) + config_.timeout + Clock::duration(1);
        result = result ? std::min(*result, lost) : lost;
    }
    return result;
}

} // namespace linkbal
