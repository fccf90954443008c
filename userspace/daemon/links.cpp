// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/links.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <spdlog/spdlog.h>

#include "daemon/bring_up_order.h"
#include "daemon/log.h"

namespace linkbal {

namespace {

// The targets that `uplink` can be asked for in a family.
bool has_targets(const HealthConfig& health, const Uplink& uplink, Family family) {
    const auto& path = uplink.path(family);
    return path && std::ranges::any_of(health.targets, [&](const ProbeTarget& target) {
               return target.address ? target.address->family() == family
                                     : path->gateway.has_value();
           });
}

ProbePath probe_path(const Uplink& uplink, Family family) {
    const UplinkPath& path = *uplink.path(family);
    return {.device = uplink.device,
            .family = family,
            .gateway = path.gateway,
            .source = path.addresses.front().address,
            .mark = 0}; // the socket is bound to the device
}

LinkPlace place_of(const Uplink& uplink, uint32_t mark_mask) {
    LinkPlace place;
    place.uplink = uplink.name;
    place.interface = uplink.device;
    place.mark = uplink_mark(uplink.id, mark_mask);
    if (const auto& path = uplink.paths[0]) {
        place.address = path->addresses.front().address;
        place.gateway = path->gateway;
    }
    if (const auto& path = uplink.paths[1]) {
        place.address6 = path->addresses.front().address;
        place.gateway6 = path->gateway;
    }
    return place;
}

LinkEvent event_of(const std::optional<LinkState>& before, const LinkState& now) {
    switch (now.state) {
    case UplinkState::down:
        return LinkEvent::down;
    case UplinkState::draining:
        return LinkEvent::drain;
    case UplinkState::up:
        break;
    }
    return before && before->state == UplinkState::draining ? LinkEvent::resume : LinkEvent::up;
}

void log_family(const std::string& uplink, Family family, const FamilyFitness& fitness) {
    log_event(fitness.good ? spdlog::level::info : spdlog::level::warn,
              fitness.good ? "family is good" : "family is bad",
              {{"uplink", uplink}, {"family", family_name(family)}, {"reason", fitness.reason}});
}

} // namespace

Links::Links(asio::io_context& context, const std::string& instance,
             std::function<void()> on_verdict)
    : context_(&context), on_verdict_(std::move(on_verdict)),
      passive_(context, instance, [this] { look(); }) {}

void Links::configure(const Config& config) {
    order_.clear();
    for (const UplinkConfig& uplink : config.uplinks) {
        order_.push_back(uplink.name);
        Link& link = links_[uplink.name];
        if (link.config.health != uplink.health || link.config.interface != uplink.interface) {
            link.watches = {};
        }
        link.config = uplink;
    }
    std::erase_if(links_, [&](const auto& entry) {
        return std::ranges::find(order_, entry.first) == order_.end();
    });
}

void Links::remember(const Memory& memory) {
    for (const RememberedUplink& known : memory.uplinks) {
        if (const auto link = links_.find(known.name); link != links_.end() && !known.retired) {
            link->second.brought_up = known.brought_up;
            for (size_t family = 0; family < known.carried.size(); ++family) {
                const bool good = known.carried.at(family);
                link->second.good.at(family) = good;
                link->second.cut_off.at(family) = !good;
                link->second.before.at(family) = {good ? Verdict::good : Verdict::bad,
                                                  known.gateway_answers.at(family)};
            }
        }
    }
}

LinkObservation Links::observation(const Link& link) {
    LinkObservation seen{.device = link.config.interface,
                         .interface = link.interface ? &*link.interface : nullptr,
                         .judgements = {},
                         .not_ready = link.not_ready};
    for (size_t family = 0; family < seen.judgements.size(); ++family) {
        if (const auto& watch = link.watches.at(family)) {
            seen.judgements.at(family) = watch->judgement();
        } else if (link.cut_off.at(family)) {
            Judgement& judgement = seen.judgements.at(family).emplace();
            judgement.verdict = link.before.at(family).verdict;
            judgement.reason = "was cut off and has to answer first";
        }
    }
    return seen;
}

void Links::see(const Facts& facts) {
    for (auto& [name, link] : links_) {
        const Interface* interface = facts.interface(link.config.interface);
        link.interface = interface != nullptr ? std::optional(*interface) : std::nullopt;
    }
}

void Links::set_fitness(Link& link, Family family, const FamilyFitness& fitness) {
    const auto index = static_cast<size_t>(family);
    const bool was_good = std::exchange(link.good.at(index), fitness.good);
    if (was_good == fitness.good || !link.uplink || !link.uplink->paths.at(index)) {
        return;
    }
    log_family(link.config.name, family, fitness);
    if (was_good) {
        passive_.forget(link.uplink->id, family);
    }
}

Conditions Links::conditions() {
    Conditions conditions{.watched = true, .uplinks = {}};
    for (auto& [name, link] : links_) {
        const auto fitness = link_fitness(observation(link), link.good);
        for (const Family family : families) {
            set_fitness(link, family, fitness.at(static_cast<size_t>(family)));
        }
        for (size_t family = 0; family < link.watches.size(); ++family) {
            const auto& watch = link.watches.at(family);
            link.before.at(family).gateway_answers |= watch && watch->has_answered();
        }
        conditions.uplinks[name] = {.good = link.good,
                                    .ready = !link.not_ready,
                                    .brought_up = link.brought_up,
                                    .gateway_answers = std::array{link.before[0].gateway_answers,
                                                                  link.before[1].gateway_answers}};
    }
    return conditions;
}

std::vector<LinkChange> Links::settle(const Desired& desired, uint32_t mark_mask) {
    mark_mask_ = mark_mask;
    std::vector<LinkChange> changes;
    std::set<uint32_t> watched;
    auto interval = std::chrono::milliseconds::max(); // the shortest of theirs
    for (const Uplink& uplink : desired.uplinks) {
        const auto entry = links_.find(uplink.name);
        if (entry == links_.end() || uplink.retired) {
            continue;
        }
        Link& link = entry->second;
        link.uplink = uplink;
        settle_watches(link, uplink);
        if (auto change = settle_state(link)) {
            changes.push_back(*std::move(change));
        }
        if (link.config.health.passive) {
            watched.insert(uplink.id);
            interval = std::min(interval, link.config.health.interval);
        }
    }
    passive_.follow(std::move(watched), interval);
    return changes;
}

void Links::look() {
    for (auto& [name, link] : links_) {
        for (auto& watch : link.watches) {
            if (watch) {
                watch->look();
            }
        }
    }
}

void Links::follow(LinkWatch& watch, const ProbePath& path) {
    if (watch.path() == path) {
        return;
    }
    if (const auto set = watch.set_path(path); !set) {
        spdlog::error("{}", set.error().message);
    }
}

// Whoever was cut off has to show that it is back: `up_after` answers, not one. But a gateway that has
// never answered a probe can't.
void Links::settle_watches(Link& link, const Uplink& uplink) {
    const bool no_carrier = !link.interface || !link.interface->up || !link.interface->running;
    for (const Family family : families) {
        const auto index = static_cast<size_t>(family);
        auto& watch_ = link.watches.at(index);
        if (no_carrier || !uplink.paths.at(index)) {
            const bool answers = link.before.at(index).gateway_answers;
            link.before.at(index).verdict = answers ? Verdict::bad : Verdict::unknown;
            link.cut_off.at(index) = true;
            watch_.reset();
        } else if (watch_) {
            follow(*watch_, probe_path(uplink, family));
        } else {
            watch(link, uplink, family);
        }
    }
}

// A family without targets shares the other one's fate; where neither has any, real connections still
// tell.
void Links::watch(Link& link, const Uplink& uplink, Family family) {
    const auto index = static_cast<size_t>(family);
    const Family other = family == Family::ipv4 ? Family::ipv6 : Family::ipv4;
    const bool was_cut_off = std::exchange(link.cut_off.at(index), false);
    if (!has_targets(link.config.health, uplink, family) &&
        has_targets(link.config.health, uplink, other)) {
        // It was cut off with the other one, and comes back with it.
        if (was_cut_off) {
            on_verdict_();
        }
        return;
    }
    const std::string name = uplink.name;
    const uint32_t id = uplink.id;
    auto made = LinkWatch::start(
        *context_, link.config.health, probe_path(uplink, family), link.before.at(index),
        {.passive = [this, id, family](Time now) { return passive_.evidence(id, family, now); },
         .gateway_missing = [this, name, family] { return gateway_missing(name, family); }},
        [this, name, family](const Judgement& judgement) {
            on_judgement(name, family, judgement);
        });
    if (!made) {
        spdlog::error("uplink {}: {}", uplink.name, made.error().message);
        return;
    }
    link.before.at(index).verdict = Verdict::unknown;
    link.watches.at(index) = *std::move(made);
}

bool Links::gateway_missing(const std::string& uplink, Family family) {
    const auto link = links_.find(uplink);
    if (link == links_.end() || !link->second.watches.at(static_cast<size_t>(family))) {
        return false;
    }
    const ProbePath& path = link->second.watches.at(static_cast<size_t>(family))->path();
    return path.gateway && neighbours_.is_missing(path.device, *path.gateway);
}

LinkState Links::state_now(const Link& link) {
    if (!link.uplink) {
        return {};
    }
    auto seen = observation(link);
    if (!link.uplink->has_any_path()) {
        seen.judgements = {}; // of before: what it lacks now is the reason
    }
    return link_state(*link.uplink, link_fitness(seen, link.good));
}

std::optional<LinkChange> Links::settle_state(Link& link) const {
    const LinkState now = state_now(link);
    const auto before = std::exchange(link.state, now);
    if (before && before->state == now.state) {
        return std::nullopt;
    }
    LinkChange change{.event = event_of(before, now),
                      .link = place_of(*link.uplink, mark_mask_),
                      .state = std::string(uplink_state_name(now.state)),
                      .previous = {},
                      .reason = now.reason};
    if (before) {
        change.previous = uplink_state_name(before->state);
    }
    return change;
}

std::optional<LinkChange> Links::weight_change(const std::string& uplink) const {
    const auto link = links_.find(uplink);
    if (link == links_.end() || !link->second.uplink) {
        return std::nullopt;
    }
    const LinkState state = state_now(link->second);
    const std::string word(uplink_state_name(state.state));
    return LinkChange{.event = LinkEvent::weight,
                      .link = place_of(*link->second.uplink, mark_mask_),
                      .state = word,
                      .previous = word,
                      .reason = fmt::format("weight {}", link->second.uplink->weight)};
}

void Links::on_judgement(const std::string& uplink, Family family, const Judgement& judgement) {
    const auto found = links_.find(uplink);
    if (found == links_.end() || judgement.verdict == Verdict::unknown) {
        return;
    }
    const Link& link = found->second;
    const auto index = static_cast<size_t>(family);
    const bool good = judgement.verdict == Verdict::good;
    // That its gateway answers is to be remembered while it still does.
    const auto& watch = link.watches.at(index);
    const bool learnt = watch && watch->has_answered() && !link.before.at(index).gateway_answers;
    if (good != link.good.at(index) || learnt) {
        on_verdict_();
    }
}

void Links::set_ready(const std::string& uplink, std::optional<std::string> reason) {
    if (const auto link = links_.find(uplink); link != links_.end()) {
        link->second.brought_up |= !reason;
        link->second.not_ready = std::move(reason);
    }
}

std::vector<std::string> Links::to_bring_up() const {
    std::vector<std::string> names;
    std::ranges::copy_if(order_, std::back_inserter(names), [&](const std::string& name) {
        const Link& link = links_.at(name);
        return has_commands(link.config) && !link.brought_up;
    });
    return names;
}

Result<LinkPlace> Links::place(const std::string& uplink) const {
    const auto link = links_.find(uplink);
    if (link == links_.end() || !link->second.uplink) {
        return fail("it has not been looked at yet");
    }
    if (!link->second.uplink->has_any_path()) {
        return fail("{}", state_now(link->second).reason);
    }
    return place_of(*link->second.uplink, mark_mask_);
}

uint32_t Links::mark(const std::string& uplink) const {
    const auto link = links_.find(uplink);
    const bool known = link != links_.end() && link->second.uplink;
    return known ? uplink_mark(link->second.uplink->id, mark_mask_) : 0;
}

std::vector<WatchedUplink> Links::status() const {
    std::vector<WatchedUplink> all;
    for (const std::string& name : order_) {
        const Link& link = links_.at(name);
        const LinkState state = state_now(link);
        WatchedUplink uplink{
            .name = name, .state = state.state, .reason = state.reason, .health = {}};
        for (size_t family = 0; family < uplink.health.size(); ++family) {
            if (const auto& watch = link.watches.at(family)) {
                uplink.health.at(family) = watch->judgement();
            }
        }
        all.push_back(std::move(uplink));
    }
    return all;
}

} // namespace linkbal
