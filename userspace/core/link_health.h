// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a link is good, from probes, real connections and time: pure.
//
// Of each target:
// - A probe is due when it has been out for longer than the round trip lets expect (RFC 6298:
//   srtt + max(20 ms, 4 rttvar), at most the timeout; the timeout before the first answer). A
//   target is silent when the last `down_after` due probes have no answer. Any answer within the
//   timeout, to an older probe too, begins the count anew.
// - What is silent is back after `up_after` answers in a row with none missed. A target that has
//   not been judged yet is good at its first answer.
// - `max_loss`, `max_latency` and `max_jitter` are judged over the last `window` probes of which
//   it is known if they were answered in time, once they are half of the window and 5. A target beyond one of
//   them is bad until it is below three quarters of it.
// - The gateway, as the default target, is no evidence before its first answer: many provider
//   routers answer no pings. But every router answers ARP or neighbour discovery: one that does not
//   is missing, and the link bad.
//
// Of the link:
// - It is good when `quorum` targets are, or all where there are fewer, and bad when so many can't
//   be. Until either is known, the verdict stays as it was. Without any evidence it is good.
// - Real connections excuse silence and loss: a target does not count as bad while a connection
//   has succeeded after its last `down_after` due probes began to be sent. (After the first of
//   them, not of all that are unanswered: one success must not hide for ever that the link died
//   after it.) They keep a link; they bring one back only after succeeding for as long as
//   `up_after` probes take.
// - A link that eats connections is bad whatever probes say, for 10 s, then tried again; twice as
//   long each time, 10 min at most, and 10 s again after 10 min without.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/passive_health.h"
#include "core/target_health.h"
#include "core/trial_pause.h"
#include "core/verdict.h"
#include "util/clock.h"

namespace linkbal {

// Of one uplink and one family, at a moment.
struct Judgement {
    Verdict verdict = Verdict::unknown;
    std::string reason; // a phrase without a full stop: "2 of 2 targets answer"
    std::optional<std::chrono::microseconds> latency, jitter; // means over the window
    std::optional<double> loss;                               // 0 to 1, of the probes of the window
    bool operator==(const Judgement&) const = default;
};

// What a reason is about; its numbers change with every probe.
enum class ReasonKind : uint8_t {
    waiting,    // for the first answers
    taken_over, // the verdict of the daemon before
    not_probed, // no probes, or no target of this family
    all_answer,
    some_answer,
    mute_gateway,    // has never answered
    missing_gateway, // ... and is not there
    silent,
    returning, // answers again, not yet often enough
    threshold,
    traffic, // probes are unanswered, but connections succeed
    eats_connections,
};

struct HealthTarget {
    std::string name;     // for reasons
    bool gateway = false; // the default target, and nobody knows if it answers probes at all
};

// Of one uplink and one family.
class LinkHealth {
  public:
    // `targets` are those of this family. `initial` is the verdict of the daemon before.
    LinkHealth(const HealthConfig& config, const std::vector<HealthTarget>& targets,
               Verdict initial);

    void rename(size_t target, std::string name) { names_[target] = std::move(name); }

    // Moments never go back from call to call. Returns the probe's id, which is its target's own.
    uint64_t sent(size_t target, Time now) { return targets_[target].sent(now); }
    // An id that was never given, is answered already or is too old is ignored.
    void answered(size_t target, uint64_t id, Time now) { targets_[target].answered(id, now); }

    // `gateway_missing`: its address does not resolve; needed only if asks_for_gateway().
    Judgement judge(const PassiveEvidence& evidence, Time now, bool gateway_missing = false);
    // Nothing else tells, as of the last judge().
    [[nodiscard]] bool asks_for_gateway() const;
    [[nodiscard]] bool has_answered() const;
    // Of the last judge().
    [[nodiscard]] ReasonKind reason_kind() const { return kind_; }
    // When judge() can say something else although nothing is sent, answered or seen until then.
    [[nodiscard]] std::optional<Time> next_deadline(Time now) const;
    // Between two probes of a target: shorter while there is no verdict.
    [[nodiscard]] Clock::duration interval() const;

  private:
    struct Opinion {
        Verdict verdict = Verdict::unknown;
        ReasonKind kind = ReasonKind::waiting;
        std::string reason;
    };
    // Of the targets that are evidence.
    struct Census {
        size_t evidence = 0, good = 0, bad = 0;
        [[nodiscard]] size_t needed(uint32_t quorum) const;
    };

    [[nodiscard]] Census census() const;
    [[nodiscard]] Opinion by_probes(Time now, bool gateway_missing) const;
    [[nodiscard]] Opinion without_evidence(Time now, bool gateway_missing) const;
    [[nodiscard]] Opinion undecided() const;
    [[nodiscard]] Opinion failed(Time now) const;
    [[nodiscard]] std::string silence(Time now) const;
    [[nodiscard]] bool excused_by(Time success, Time now) const;
    Opinion by_traffic(Opinion probes, const PassiveEvidence& evidence, Time now);
    Opinion by_trial(Opinion opinion, const PassiveEvidence& evidence, Time now);
    void add_statistics(Judgement& judgement) const;
    // How long connections must succeed to bring a link back.
    [[nodiscard]] Clock::duration traffic_proof() const;

    HealthConfig config_;
    std::vector<std::string> names_;
    std::vector<TargetHealth> targets_;
    Verdict probed_;              // by probes alone
    Verdict carried_;             // by probes and traffic
    std::optional<Time> traffic_; // since when it makes up for what probes lack
    TrialPause trial_;
    std::string eaten_; // the evidence's reason when the pause began
    Verdict verdict_;
    ReasonKind kind_ = ReasonKind::waiting;
};

} // namespace linkbal
