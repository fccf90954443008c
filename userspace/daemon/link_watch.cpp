// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/link_watch.h"

#include <cmath>
#include <vector>

#include <boost/asio/post.hpp>

#include "daemon/prober.h"

namespace linkbal {

namespace {

// From 0 to 1, ever between those before: multiples of the golden ratio. The probes of many links so
// spread over the interval, however many there will be.
double next_phase() {
    static double phase = 0;
    return phase = std::fmod(phase + 0.6180339887498949, 1);
}

std::vector<ProbeTarget> targets_of(const HealthConfig& config, Family family) {
    std::vector<ProbeTarget> targets;
    if (config.probe != ProbeKind::none) {
        for (const ProbeTarget& target : config.targets) {
            if (!target.address || target.address->family() == family) {
                targets.push_back(target);
            }
        }
    }
    return targets;
}

std::string name_of(const ProbeTarget& target, const ProbePath& path) {
    const auto& address = target.address ? target.address : path.gateway;
    return address ? address->str() : "the gateway";
}

std::vector<HealthTarget> named(const std::vector<ProbeTarget>& targets, const ProbePath& path,
                                bool gateway_answers) {
    std::vector<HealthTarget> result;
    for (const ProbeTarget& target : targets) {
        result.push_back({name_of(target, path), !target.address && !gateway_answers});
    }
    return result;
}

} // namespace

class LinkWatch::Watch : public std::enable_shared_from_this<Watch> {
  public:
    Watch(asio::io_context& context, const HealthConfig& config, const ProbePath& path,
          Precedent before, Sources sources, OnChange on_change);

    Status set_path(const ProbePath& path);
    void begin();
    void look();
    [[nodiscard]] bool has_answered() const { return health_.has_answered(); }
    [[nodiscard]] const ProbePath& path() const { return path_; }
    [[nodiscard]] const Judgement& judgement() const { return judgement_; }

  private:
    using Probers = std::vector<std::unique_ptr<Prober>>;
    Result<Probers> make_probers(const ProbePath& to);
    void send(Time now);
    [[nodiscard]] Time after(Time now) const;
    void judge(Time now);
    void arm(Time now);
    void wake(Time now);

    asio::io_context& context_;
    ProbePath path_;
    Judgement judgement_;
    HealthConfig config_;
    std::vector<ProbeTarget> targets_;
    LinkHealth health_;
    Sources sources_;
    OnChange on_change_;
    Probers probers_; // none for a gateway that is not known
    asio::steady_timer timer_;
    double phase_ = next_phase();
    Time next_probe_;
    Time armed_ = Time::max();
    bool looking_ = false;
    std::optional<ReasonKind> kind_; // that was told last
};

LinkWatch::Watch::Watch(asio::io_context& context, const HealthConfig& config,
                        const ProbePath& path, Precedent before, Sources sources,
                        OnChange on_change)
    : context_(context), path_(path), config_(config), targets_(targets_of(config, path.family)),
      health_(config, named(targets_, path, before.gateway_answers), before.verdict),
      sources_(std::move(sources)), on_change_(std::move(on_change)), timer_(context) {
    judgement_.verdict = before.verdict;
}

Result<LinkWatch::Watch::Probers> LinkWatch::Watch::make_probers(const ProbePath& to) {
    Probers probers;
    for (size_t i = 0; i < targets_.size(); ++i) {
        if (!targets_[i].address && !to.gateway) {
            probers.push_back(nullptr);
            continue;
        }
        auto prober = make_prober(context_, config_, targets_[i], to, [this, i](uint64_t id) {
            health_.answered(i, id, Clock::now());
            look();
        });
        if (!prober) {
            return tl::unexpected(prober.error());
        }
        probers.push_back(*std::move(prober));
    }
    return probers;
}

Status LinkWatch::Watch::set_path(const ProbePath& path) {
    auto probers = make_probers(path);
    if (!probers) {
        return tl::unexpected(probers.error());
    }
    probers_ = *std::move(probers);
    path_ = path;
    for (size_t i = 0; i < targets_.size(); ++i) {
        health_.rename(i, name_of(targets_[i], path));
    }
    return {};
}

void LinkWatch::Watch::begin() {
    const auto interval = std::chrono::duration<double>(health_.interval());
    next_probe_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(phase_ * interval);
    look();
}

// Answers of several targets that come together are judged together, and nothing is judged, told or
// destroyed within a prober's call.
void LinkWatch::Watch::look() {
    if (looking_) {
        return;
    }
    looking_ = true;
    asio::post(context_, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
            self->looking_ = false;
            self->judge(Clock::now());
        }
    });
}

void LinkWatch::Watch::send(Time now) {
    for (size_t i = 0; i < probers_.size(); ++i) {
        const uint64_t id = health_.sent(i, now);
        if (probers_[i]) {
            probers_[i]->send(id);
        }
    }
    next_probe_ = after(now);
}

// At the usual interval probes keep to the watch's phase, after a stall and after the faster ones of
// the beginning, too.
Time LinkWatch::Watch::after(Time now) const {
    const Clock::duration interval = health_.interval();
    if (interval != config_.interval) {
        return now + interval;
    }
    const auto phase = std::chrono::duration_cast<Clock::duration>(
        phase_ * std::chrono::duration<double>(interval));
    const auto since = (now.time_since_epoch() - phase) % interval;
    const Time next = now - since + interval;
    return next - now > interval / 2 ? next : next + interval;
}

void LinkWatch::Watch::judge(Time now) {
    const Verdict before = judgement_.verdict;
    const bool missing =
        sources_.gateway_missing && health_.asks_for_gateway() && sources_.gateway_missing();
    judgement_ =
        health_.judge(sources_.passive ? sources_.passive(now) : PassiveEvidence{}, now, missing);
    arm(now);
    if (judgement_.verdict == before && kind_ == health_.reason_kind()) {
        return;
    }
    kind_ = health_.reason_kind();
    if (on_change_) {
        const auto self = shared_from_this(); // it may drop the last other one
        on_change_(Judgement(judgement_));
    }
}

void LinkWatch::Watch::wake(Time now) {
    armed_ = Time::max();
    if (now >= next_probe_) {
        send(now);
    }
    judge(now);
}

// A timer that is set for earlier stays: it costs less to wake once in vain than to set it anew with
// every answer.
void LinkWatch::Watch::arm(Time now) {
    const Time wake = std::min(next_probe_, health_.next_deadline(now).value_or(Time::max()));
    if (wake >= armed_) {
        return;
    }
    armed_ = wake;
    timer_.expires_at(wake);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
        if (const auto self = weak.lock(); self && !error) {
            self->wake(Clock::now());
        }
    });
}

Result<LinkWatch> LinkWatch::start(asio::io_context& context, const HealthConfig& config,
                                   const ProbePath& path, Precedent before, Sources sources,
                                   OnChange on_change) {
    const auto watch = std::make_shared<Watch>(context, config, path, before, std::move(sources),
                                               std::move(on_change));
    if (const auto set = watch->set_path(path); !set) {
        return tl::unexpected(set.error());
    }
    watch->begin();
    return LinkWatch(watch);
}

Status LinkWatch::set_path(const ProbePath& path) {
    return path == watch_->path() ? Status{} : watch_->set_path(path);
}

void LinkWatch::look() { watch_->look(); }
const Judgement& LinkWatch::judgement() const { return watch_->judgement(); }
const ProbePath& LinkWatch::path() const { return watch_->path(); }
bool LinkWatch::has_answered() const { return watch_->has_answered(); }

} // namespace linkbal
