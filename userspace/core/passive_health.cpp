// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/passive_health.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace linkbal {

namespace {

using namespace std::chrono_literals;
using Link = PassiveHealth::Link;
using Snapshot = PassiveHealth::Snapshot;
using Slots = std::array<uint32_t, handshake_slots>;

constexpr auto window = 10s;
constexpr auto shortest_wait = 1s, longest_wait = 3s; // for an answer
constexpr auto shortest_silence = 3s, shortest_silence_alone = 5s;
constexpr auto recent_success = 60s;
constexpr double most_per_slot = 6;
constexpr double fewest_slots_alone = 16;
constexpr double least_failure = 0.09;
constexpr double prior_known = 4, prior_unknown = 2;
constexpr double least_likely = 1e-6;
constexpr double history_size = 256; // connections; beyond that the older ones lose weight

// Counters of slots may wrap, so differences are taken in their own type.
Slots difference(const Slots& later, const Slots& earlier) {
    Slots slots{};
    std::ranges::transform(later, earlier, slots.begin(), std::minus<>());
    return slots;
}

uint32_t total(const Slots& slots) { return std::accumulate(slots.begin(), slots.end(), 0U); }

double total(const std::array<double, handshake_slots>& slots) {
    return std::accumulate(slots.begin(), slots.end(), 0.0);
}

double used(const auto& slots) {
    return static_cast<double>(std::ranges::count_if(slots, [](auto n) { return n != 0; }));
}

// The last one of that time or before, else the first one.
const HandshakeCounters& counters_at(const Link& link, Time time) {
    const auto later = std::ranges::upper_bound(link.snapshots, time, {}, &Snapshot::at);
    return (later == link.snapshots.begin() ? later : std::prev(later))->counters;
}

Slots attempts_between(const Link& link, Time from, Time to) {
    return to <= from ? Slots{}
                      : difference(counters_at(link, to).slot_attempts,
                                   counters_at(link, from).slot_attempts);
}

Slots answers_since(const Link& link, Time from) {
    return difference(link.snapshots.back().counters.slot_answers,
                      counters_at(link, from).slot_answers);
}

bool began_again(const HandshakeCounters& before, const HandshakeCounters& now) {
    return now.attempts < before.attempts || now.retries < before.retries ||
           now.answers < before.answers || now.round_trip_samples < before.round_trip_samples;
}

void remember(PassiveHealth::History& history, const HandshakeCounters& before,
              const HandshakeCounters& now) {
    history.unsettled += static_cast<double>(now.attempts - before.attempts);
    if (now.answers == before.answers) {
        return;
    }
    history.tried += std::exchange(history.unsettled, 0);
    history.answered += static_cast<double>(now.answers - before.answers);
    if (history.tried > history_size) {
        history.answered *= history_size / history.tried;
        history.tried = history_size;
    }
}

std::optional<std::chrono::microseconds> round_trip(const Link& link, Time now) {
    const auto& before = counters_at(link, now - window);
    const auto& last = link.snapshots.back().counters;
    const uint64_t samples = last.round_trip_samples - before.round_trip_samples;
    if (samples == 0) {
        return std::nullopt;
    }
    const auto mean = (last.round_trips - before.round_trips) / static_cast<int64_t>(samples);
    return std::chrono::duration_cast<std::chrono::microseconds>(mean);
}

// Since the last answer; `first` is when the first SYN of it was seen.
struct Silence {
    Time start, old_enough;
    std::optional<Time> first;
    Slots attempts{};     // that should have been answered by now
    double connections{}; // how many of these began one: the part that is no repetition
};

bool is_long(const Silence& silence, Time now) {
    return silence.first && now - *silence.first >= shortest_silence &&
           total(silence.attempts) != 0;
}

double connections_part(const Link& link, Time from, Time to) {
    const auto& before = counters_at(link, from);
    const auto& after = counters_at(link, to);
    if (to <= from || after.retries == before.retries) {
        return 1;
    }
    const auto first = static_cast<double>(after.attempts - before.attempts);
    return first / (first + static_cast<double>(after.retries - before.retries));
}

Silence silence_of(const Link& link, Time now) {
    const auto wait = std::clamp<Clock::duration>(3 * round_trip(link, now).value_or(0us),
                                                  shortest_wait, longest_wait);
    Silence silence{.start = now - window, .old_enough = now - wait, .first = {}};
    const auto& snapshots = link.snapshots;
    const auto answers = snapshots.back().counters.answers;
    const auto last = std::ranges::lower_bound(
        snapshots, answers, {}, [](const Snapshot& s) { return s.counters.answers; });
    if (last != snapshots.begin()) { // the first one tells nothing of when its answers came
        silence.start = std::max(silence.start, last->at);
    }
    silence.attempts = attempts_between(link, silence.start, silence.old_enough);
    silence.connections = connections_part(link, silence.start, silence.old_enough);
    const auto sent = [](const Snapshot& s) { return s.counters.attempts + s.counters.retries; };
    const auto& before = counters_at(link, silence.start);
    const auto first =
        std::ranges::upper_bound(snapshots, before.attempts + before.retries, {}, sent);
    if (first != snapshots.end()) {
        silence.first = first->at;
    }
    return silence;
}

// What the other links say of the same time.
struct Others {
    bool tried = false;
    // Connections, on links on which anything was answered.
    std::array<double, handshake_slots> attempts{}, answers{};
};

void add(Others& others, const Link& link, const Silence& silence, Time now) {
    const Slots attempts = attempts_between(link, silence.start, silence.old_enough);
    const Slots answers = answers_since(link, silence.start);
    others.tried = others.tried || total(attempts) != 0;
    if (total(answers) == 0 || is_long(silence_of(link, now), now)) {
        return; // nobody's measure
    }
    const double part = connections_part(link, silence.start, silence.old_enough);
    for (size_t slot = 0; slot < handshake_slots; ++slot) {
        others.attempts[slot] += std::max<double>(attempts[slot] * part, answers[slot]);
        others.answers[slot] += answers[slot];
    }
}

double failure(double tried, double answered) {
    return std::max(least_failure, (tried - answered + 0.5) / (tried + 1));
}

// Of connections by the link itself, before this silence; `prior` is how many are taken to have been
// tried before it was known, one of them in vain.
double own_failure(const PassiveHealth::History& history, double prior) {
    const double failed = std::max(0.0, history.tried - history.answered);
    return (failed + 1) / (history.tried + prior);
}

// The logarithm of how likely the silence is on a link that is as good as the others.
double likelihood(const Silence& silence, const Others& others,
                  const PassiveHealth::History& history) {
    const double dead = own_failure(history, prior_known);
    const double unknown = std::max(own_failure(history, prior_unknown),
                                    failure(used(others.attempts), used(others.answers)));
    double sum = 0;
    for (size_t slot = 0; slot < handshake_slots; ++slot) {
        const double begun = silence.attempts[slot] * silence.connections;
        if (others.answers[slot] != 0) {
            const double lost = failure(others.attempts[slot], others.answers[slot]);
            sum += std::min(begun, most_per_slot) * std::log(std::max(lost, dead));
        } else if (others.attempts[slot] == 0) {
            sum += std::min(begun, 1.0) * std::log(unknown);
        }
    }
    return sum;
}

bool eats_alone(const Link& link, const Silence& silence, Time now) {
    double slots = 0;
    for (const uint32_t sent : silence.attempts) {
        slots += std::min(sent * silence.connections, 1.0);
    }
    const double failed = std::max(least_failure, own_failure(link.history, prior_unknown));
    return link.history.answered >= fewest_slots_alone && link.last_success &&
           now - *link.last_success <= recent_success &&
           now - *silence.first >= shortest_silence_alone && slots >= fewest_slots_alone &&
           slots * std::log(failed) < std::log(least_likely);
}

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string describe(const Silence& silence, const Others& others, Time now) {
    auto text = fmt::format("none of {} connection attempts answered for {:.0f} s",
                            total(silence.attempts), seconds(now - *silence.first));
    if (others.tried) {
        text +=
            fmt::format(", {} of {} by other links", total(others.answers), total(others.attempts));
    }
    return text;
}

} // namespace

void PassiveHealth::observe(uint32_t uplink, Family family, const HandshakeCounters& counters,
                            Time now) {
    Link& link = links_[{family, uplink}];
    auto& snapshots = link.snapshots;
    if (!snapshots.empty() && began_again(snapshots.back().counters, counters)) {
        link = {};
    }
    if (!snapshots.empty()) {
        const auto& before = snapshots.back().counters;
        if (counters.answers != before.answers) {
            link.last_success = now;
        }
        remember(link.history, before, counters);
    }
    snapshots.push_back({now, counters});
    while (snapshots.size() > 1 && snapshots[1].at <= now - window) {
        snapshots.pop_front();
    }
}

PassiveEvidence PassiveHealth::evidence(uint32_t uplink, Family family, Time now) const {
    const auto found = links_.find({family, uplink});
    if (found == links_.end()) {
        return {};
    }
    const Link& link = found->second;
    const Silence silence = silence_of(link, now);
    PassiveEvidence evidence{
        .last_success = link.last_success, .reason = {}, .round_trip = round_trip(link, now)};
    if (!is_long(silence, now)) {
        return evidence;
    }
    Others others;
    for (const auto& [key, other] : links_) {
        if (key.first == family && key.second != uplink) {
            add(others, other, silence, now);
        }
    }
    evidence.eats_connections =
        others.tried ? total(others.answers) != 0 &&
                           likelihood(silence, others, link.history) < std::log(least_likely)
                     : eats_alone(link, silence, now);
    if (evidence.eats_connections) {
        evidence.reason = describe(silence, others, now);
    }
    return evidence;
}

void PassiveHealth::forget(uint32_t uplink, Family family) { links_.erase({family, uplink}); }

} // namespace linkbal
