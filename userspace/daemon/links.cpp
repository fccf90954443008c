// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/links.h"

#include <algorithm>
#include <set>

#include <spdlog/spdlog.h>

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
            for (size_t family = 0; family < known.carried.size(); ++family) {
                const bool good = known.carried.at(family);
                link->second.good.at(family) = good;
                link->second.initial.at(family) = good ? Verdict::good : Verdict::bad;
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
        } else if (link.initial.at(family) == Verdict::bad) {
            Judgement& judgement = seen.judgements.at(family).emplace();
            judgement.verdict = Verdict::bad;
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

Conditions Links::conditions() {
    Conditions conditions{.watched = true, .uplinks = {}};
    for (auto& [name, link] : links_) {
        const auto fitness = link_fitness(observation(link), link.good);
        link.good = {fitness[0].good, fitness[1].good};
        conditions.uplinks[name].good = link.good;
    }
    return conditions;
}

std::vector<LinkChange> Links::settle(const Desired& desired, uint32_t mark_mask) {
    mark_mask_ = mark_mask;
    std::vector<LinkChange> changes;
    std::set<uint32_t> watched;
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
        }
    }
    passive_.follow(std::move(watched));
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

// Whoever was cut off has to show that it is back: `up_after` answers, not one.
void Links::settle_watches(Link& link, const Uplink& uplink) {
    const bool cut_off = !link.interface || !link.interface->up || !link.interface->running;
    for (const Family family : families) {
        const auto index = static_cast<size_t>(family);
        auto& watch_ = link.watches.at(index);
        if (cut_off || !uplink.paths.at(index)) {
            watch_.reset();
            link.initial.at(index) = Verdict::bad;
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
    if (!has_targets(link.config.health, uplink, family) &&
        has_targets(link.config.health, uplink, other)) {
        // It was cut off with the other one, and comes back with it.
        if (std::exchange(link.initial.at(index), Verdict::unknown) == Verdict::bad) {
            on_verdict_();
        }
        return;
    }
    const std::string name = uplink.name;
    const uint32_t id = uplink.id;
    auto made = LinkWatch::start(
        *context_, link.config.health, probe_path(uplink, family), link.initial.at(index),
        [this, id, family](Time now) { return passive_.evidence(id, family, now); },
        [this, name, family](const Judgement& judgement) {
            on_judgement(name, family, judgement);
        });
    if (!made) {
        spdlog::error("uplink {}: {}", uplink.name, made.error().message);
        return;
    }
    link.initial.at(index) = Verdict::unknown;
    link.watches.at(index) = *std::move(made);
}

LinkState Links::state_now(const Link& link) {
    return link.uplink ? link_state(*link.uplink, link_fitness(observation(link), link.good))
                       : LinkState{};
}

std::optional<LinkChange> Links::settle_state(Link& link) const {
    const LinkState now = state_now(link);
    const auto before = std::exchange(link.state, now);
    if (before && before->state == now.state) {
        return std::nullopt;
    }
    LinkChange change{.event = now.state == UplinkState::down ? LinkEvent::down
                               : now.state == UplinkState::up ? LinkEvent::up
                                                              : LinkEvent::drain,
                      .link = place_of(*link.uplink, mark_mask_),
                      .state = std::string(uplink_state_name(now.state)),
                      .previous = {},
                      .reason = now.reason};
    if (before) {
        change.previous = uplink_state_name(before->state);
    }
    return change;
}

void Links::on_judgement(const std::string& uplink, Family family, const Judgement& judgement) {
    const auto link = links_.find(uplink);
    if (link == links_.end() || judgement.verdict == Verdict::unknown) {
        return;
    }
    const bool good = judgement.verdict == Verdict::good;
    if (good != link->second.good.at(static_cast<size_t>(family))) {
        on_verdict_();
    }
}

void Links::set_not_ready(const std::string& uplink, std::optional<std::string> reason) {
    if (const auto link = links_.find(uplink); link != links_.end()) {
        link->second.not_ready = std::move(reason);
    }
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
