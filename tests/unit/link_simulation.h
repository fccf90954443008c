// SPDX-License-Identifier: GPL-2.0-or-later
// A link, its targets and time, all made up: probes are sent as the daemon would send them, answers
// come as `network` says, and the judge is asked whenever something happens.
#pragma once

#include <algorithm>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "support/catch.h"

#include "core/link_health.h"

namespace linkbal::test {

using namespace std::chrono_literals;

struct Change {
    Clock::duration at; // since the start
    Verdict verdict;
    ReasonKind kind;
    std::string reason;
};

class LinkSimulation {
  public:
    // The round trip of a probe to a target that is sent so long after the start, if it returns.
    using Network = std::function<std::optional<Clock::duration>(size_t, Clock::duration)>;
    using Passive = std::function<PassiveEvidence(Clock::duration)>;

    LinkSimulation(const HealthConfig& config, const std::vector<HealthTarget>& targets,
                   Verdict initial = Verdict::unknown)
        : health(config, targets, initial), targets_(targets.size()) {
        judge();
    }

    void run_until(Clock::duration end, bool check_deadlines = true) {
        const Time last = start + end;
        for (Time next = next_event(); next <= last; next = next_event()) {
            if (check_deadlines) {
                check_nothing_before(next);
            }
            now_ = next;
            happen();
        }
        now_ = last;
        judge();
    }
    // Nothing is sent, read or judged meanwhile.
    void stall(Clock::duration duration) { now_ += duration; }

    [[nodiscard]] const Change& last() const { return changes.back(); }
    [[nodiscard]] size_t count(Verdict verdict) const {
        return static_cast<size_t>(std::ranges::count(changes, verdict, &Change::verdict));
    }
    // Of the first change to `verdict` at or after `from`.
    [[nodiscard]] Clock::duration when(Verdict verdict, Clock::duration from) const {
        const auto found = std::ranges::find_if(changes, [&](const Change& change) {
            return change.at >= from && change.verdict == verdict;
        });
        return found == changes.end() ? Clock::duration::max() : found->at;
    }

    LinkHealth health;
    Network network = [](size_t, Clock::duration) { return std::optional<Clock::duration>(20ms); };
    Passive passive = [](Clock::duration) { return PassiveEvidence{}; };
    std::vector<Change> changes; // of verdict or kind; the first is from the beginning
    Judgement judgement;
    const Time start{1000h};

  private:
    struct Answer {
        Time at;
        size_t target;
        uint64_t id;
        bool operator>(const Answer& other) const { return at > other.at; }
    };

    [[nodiscard]] Time next_event() const {
        Time next = std::max(next_probe_, now_);
        if (!answers_.empty()) {
            next = std::min(next, std::max(answers_.top().at, now_));
        }
        return deadline_ ? std::min(next, std::max(*deadline_, now_)) : next;
    }

    // next_deadline() said that nothing changes by itself.
    void check_nothing_before(Time next) {
        const Time before = next - Clock::duration(1);
        if (before <= now_) {
            return;
        }
        LinkHealth copy = health;
        copy.judge(passive_, before);
        if (copy.reason_kind() != health.reason_kind()) {
            FAIL("changes before its deadline");
        }
    }

    void happen() {
        while (!answers_.empty() && answers_.top().at <= now_) {
            health.answered(answers_.top().target, answers_.top().id, now_);
            answers_.pop();
        }
        if (next_probe_ <= now_) {
            for (size_t target = 0; target < targets_; ++target) {
                send(target);
            }
            next_probe_ = now_ + health.interval();
        }
        judge();
    }

    void send(size_t target) {
        const uint64_t id = health.sent(target, now_);
        if (const auto round_trip = network(target, now_ - start)) {
            answers_.push({now_ + *round_trip, target, id});
        }
    }

    void judge() {
        passive_ = passive(now_ - start);
        judgement = health.judge(passive_, now_);
        deadline_ = health.next_deadline(now_);
        if (changes.empty() || changes.back().verdict != judgement.verdict ||
            changes.back().kind != health.reason_kind()) {
            changes.push_back(
                {now_ - start, judgement.verdict, health.reason_kind(), judgement.reason});
        }
    }

    size_t targets_;
    Time now_ = start;
    Time next_probe_ = start;
    std::optional<Time> deadline_;
    PassiveEvidence passive_;
    std::priority_queue<Answer, std::vector<Answer>, std::greater<>> answers_;
};

inline const std::vector<HealthTarget> one_target{{"1.1.1.1", false}};
inline const std::vector<HealthTarget> two_targets{{"192.0.2.1", false}, {"1.1.1.1", false}};
inline const std::vector<HealthTarget> only_gateway{{"192.0.2.1", true}};

// Answers after 20 ms, but none to what is sent from `from` until `to`.
inline LinkSimulation::Network outage(Clock::duration from,
                                      Clock::duration to = Clock::duration::max()) {
    return [=](size_t, Clock::duration at) -> std::optional<Clock::duration> {
        return at >= from && at < to ? std::nullopt : std::optional<Clock::duration>(20ms);
    };
}

} // namespace linkbal::test
