// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/link_health.h"

#include <algorithm>
#include <ranges>

#include <fmt/format.h>

namespace linkbal {

namespace {

constexpr std::chrono::milliseconds fast_interval{200};

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// "A", "A and B", "A, B and C"
std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (size_t i = 0; i < names.size(); ++i) {
        const char* separator = i == 0 ? "" : i + 1 == names.size() ? " and " : ", ";
        text += separator + names[i];
    }
    return text;
}

std::optional<std::chrono::microseconds> microseconds(std::optional<Clock::duration> duration) {
    return duration ? std::optional(std::chrono::round<std::chrono::microseconds>(*duration))
                    : std::nullopt;
}

} // namespace

LinkHealth::LinkHealth(const HealthConfig& config, const std::vector<HealthTarget>& targets,
                       Verdict initial)
    : config_(config), probed_(initial), carried_(initial), verdict_(initial) {
    for (const HealthTarget& target : targets) {
        names_.push_back(target.name);
        targets_.emplace_back(config, target.gateway, initial);
    }
}

size_t LinkHealth::Census::needed(uint32_t quorum) const {
    return std::min<size_t>(quorum, evidence);
}

LinkHealth::Census LinkHealth::census() const {
    Census result;
    for (const TargetHealth& target : targets_) {
        if (target.is_evidence()) {
            ++result.evidence;
            result.good += target.verdict() == Verdict::good ? 1 : 0;
            result.bad += target.verdict() == Verdict::bad ? 1 : 0;
        }
    }
    return result;
}

bool LinkHealth::has_answered() const {
    return std::ranges::any_of(targets_, &TargetHealth::ever_answered);
}

bool LinkHealth::asks_for_gateway() const {
    using enum ReasonKind;
    return kind_ == waiting || kind_ == taken_over || kind_ == mute_gateway ||
           kind_ == missing_gateway;
}

Judgement LinkHealth::judge(const PassiveEvidence& evidence, Time now, bool gateway_missing) {
    for (TargetHealth& target : targets_) {
        target.update(now);
    }
    Opinion opinion = by_probes(now, gateway_missing);
    probed_ = opinion.verdict;
    opinion = by_traffic(std::move(opinion), evidence, now);
    carried_ = opinion.verdict;
    opinion = by_trial(std::move(opinion), evidence, now);
    verdict_ = opinion.verdict;
    kind_ = opinion.kind;
    Judgement judgement{.verdict = opinion.verdict,
                        .reason = std::move(opinion.reason),
                        .latency = std::nullopt,
                        .jitter = std::nullopt,
                        .loss = std::nullopt};
    add_statistics(judgement);
    return judgement;
}

LinkHealth::Opinion LinkHealth::by_probes(Time now, bool gateway_missing) const {
    if (config_.probe == ProbeKind::none) {
        return {Verdict::good, ReasonKind::not_probed, "not probed"};
    }
    if (targets_.empty()) {
        return {Verdict::good, ReasonKind::not_probed, "not probed: no target of this family"};
    }
    const Census found = census();
    if (found.evidence == 0) {
        return without_evidence(now, gateway_missing);
    }
    const size_t needed = found.needed(config_.quorum);
    if (found.evidence - found.bad < needed) {
        return failed(now);
    }
    const auto answering = std::ranges::count_if(targets_, [](const TargetHealth& t) {
        return t.ever_answered() && t.verdict() == Verdict::good;
    });
    if (found.good < needed || answering == 0) {
        return undecided();
    }
    const bool all = static_cast<size_t>(answering) == targets_.size();
    return {Verdict::good, all ? ReasonKind::all_answer : ReasonKind::some_answer,
            fmt::format("{} of {} {}", answering, targets_.size(),
                        targets_.size() == 1 ? "target answers" : "targets answer")};
}

LinkHealth::Opinion LinkHealth::without_evidence(Time now, bool gateway_missing) const {
    for (size_t i = 0; i < targets_.size(); ++i) {
        if (targets_[i].waited(now) && gateway_missing) {
            return {Verdict::bad, ReasonKind::missing_gateway,
                    fmt::format("{} is not there: nobody answers for its address", names_[i])};
        }
        if (targets_[i].waited(now)) {
            return {Verdict::good, ReasonKind::mute_gateway,
                    fmt::format("{} has never answered a probe: nothing to judge by", names_[i])};
        }
    }
    return undecided();
}

LinkHealth::Opinion LinkHealth::undecided() const {
    if (probed_ == Verdict::unknown) {
        return {probed_, ReasonKind::waiting, "waiting for the first answers"};
    }
    return {probed_, ReasonKind::taken_over,
            probed_ == Verdict::good ? "good until now, waiting for the first answers"
                                     : "bad until now, waiting for the first answers"};
}

// Why fewer targets than the quorum are good.
LinkHealth::Opinion LinkHealth::failed(Time now) const {
    std::string reason = silence(now);
    auto kind = reason.empty() ? ReasonKind::threshold : ReasonKind::silent;
    std::string returning;
    for (size_t i = 0; i < targets_.size(); ++i) {
        const TargetHealth& target = targets_[i];
        if (!targets_[i].is_evidence() || target.verdict() != Verdict::bad ||
            target.is_silent(now)) {
            continue;
        }
        std::string& text = target.beyond_threshold() ? reason : returning;
        text += text.empty() ? "" : "; ";
        text += target.beyond_threshold()
                    ? target.exceeded(names_[i])
                    : fmt::format("{} of {} answers in a row from {}", target.answers_in_a_row(now),
                                  config_.up_after, names_[i]);
    }
    if (reason.empty()) {
        if (!has_answered()) {
            return undecided();
        }
        kind = ReasonKind::returning;
        reason = std::move(returning);
    }
    return {Verdict::bad, kind, std::move(reason)};
}

// "no answer from 192.0.2.1 and 1.1.1.1 for 1.5 s"; empty where none is silent.
std::string LinkHealth::silence(Time now) const {
    std::vector<std::string> names;
    auto duration = Clock::duration::max();
    for (size_t i = 0; i < targets_.size(); ++i) {
        if (targets_[i].is_evidence() && targets_[i].is_silent(now)) {
            names.push_back(names_[i]);
            duration = std::min(duration, targets_[i].silent_for(now));
        }
    }
    return names.empty()
               ? std::string()
               : fmt::format("no answer from {} for {:.1f} s", listed(names), seconds(duration));
}

bool LinkHealth::excused_by(Time success, Time now) const {
    const Census found = census();
    size_t good = found.good;
    for (const TargetHealth& target : targets_) {
        if (target.is_evidence() && target.verdict() != Verdict::good) {
            good += target.excused_by(success, now) ? 1 : 0;
        }
    }
    return good >= found.needed(config_.quorum);
}

Clock::duration LinkHealth::traffic_proof() const { return config_.up_after * config_.interval; }

LinkHealth::Opinion LinkHealth::by_traffic(Opinion probes, const PassiveEvidence& evidence,
                                           Time now) {
    if (probes.verdict == Verdict::good || !config_.passive || !evidence.last_success ||
        !excused_by(*evidence.last_success, now)) {
        traffic_.reset();
        return probes;
    }
    traffic_ = traffic_.value_or(now);
    if (carried_ == Verdict::bad && now - *traffic_ < traffic_proof()) {
        return probes;
    }
    return {Verdict::good, ReasonKind::traffic, "probes unanswered, but connections succeed"};
}

LinkHealth::Opinion LinkHealth::by_trial(Opinion opinion, const PassiveEvidence& evidence,
                                         Time now) {
    if (!config_.passive) {
        return opinion;
    }
    const bool paused_before = trial_.is_pausing(now);
    if (!trial_.update(evidence.eats_connections, now)) {
        return opinion;
    }
    if (!paused_before) {
        eaten_ = evidence.reason;
    }
    return {Verdict::bad, ReasonKind::eats_connections,
            fmt::format("{}, next trial in {:.0f} s", eaten_, seconds(trial_.left(now)))};
}

void LinkHealth::add_statistics(Judgement& judgement) const {
    ProbeStatistics all;
    for (const TargetHealth& target : targets_) {
        if (target.is_evidence()) {
            all += target.statistics();
        }
    }
    judgement.latency = microseconds(all.latency());
    judgement.jitter = microseconds(all.jitter());
    judgement.loss = all.loss();
}

std::optional<Time> LinkHealth::next_deadline(Time now) const {
    std::optional<Time> result;
    const auto consider = [&](std::optional<Time> deadline) {
        if (deadline && *deadline > now && (!result || *deadline < *result)) {
            result = deadline;
        }
    };
    for (const TargetHealth& target : targets_) {
        consider(target.next_deadline(now));
    }
    if (traffic_ && carried_ == Verdict::bad) {
        consider(*traffic_ + traffic_proof());
    }
    consider(trial_.next_deadline(now));
    return result;
}

Clock::duration LinkHealth::interval() const {
    const Clock::duration usual = config_.interval;
    return verdict_ == Verdict::unknown ? std::min<Clock::duration>(usual, fast_interval) : usual;
}

} // namespace linkbal
