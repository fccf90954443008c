// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/leases.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "kernel/death_events.h"
#include "kernel/flow_table.h"
#include "kernel/tracked_connection.h"

namespace linkbal {

namespace {

// In one turn of the event loop; probes and the control socket have the next.
constexpr size_t events_a_turn = 1024;

// The whole cache is looked through, and mapped for no longer than that.
size_t running_flows(const std::string& directory) {
    const auto table = FlowTable::open(directory);
    const auto tick = table && *table ? (*table)->tick() : Result<uint32_t>(0);
    return table && *table && tick ? (*table)->count_flows(*tick) : 0;
}

} // namespace

Leases::Leases(asio::io_context& context, std::string directory, uint32_t own_port)
    : context_(&context), directory_(std::move(directory)), own_port_(own_port), timer_(context) {}

void Leases::settle(const Scope& scope, bool reloaded) {
    const bool other_mask = scope.mark_mask != scope_.mark_mask;
    const bool other_devices = scope.uplinks != scope_.uplinks;
    scope_ = scope;
    if (reloaded || other_mask || !settled_) {
        stop();
        auto cache = FlowEnds::open(directory_);
        settled_ = cache.has_value();
        if (!cache) {
            spdlog::error("flows are not ended by events: {}", cache.error().message);
        } else if (*cache) {
            cache_ = *std::move(cache);
            listen();
        }
    } else if (cache_ && other_devices) {
        learn_neighbours();
    }
}

void Leases::stop() {
    ends_.reset();
    rulesets_.reset();
    paths_.reset();
    cache_.reset();
}

void Leases::listen() {
    const auto follow = [this](std::optional<EventListener>& listener, Result<EventSocket> socket,
                               void (Leases::*read)(EventSocket&)) {
        if (!socket) {
            spdlog::warn("flows are ended by their lease only, not by every event: {}",
                         socket.error().message);
            return;
        }
        listener.emplace(*context_, *std::move(socket),
                         [this, read](EventSocket& arrived) { (this->*read)(arrived); });
    };
    follow(ends_, open_flow_end_events(scope_.mark_mask), &Leases::read_ends);
    follow(rulesets_, open_ruleset_events(), &Leases::read_rulesets);
    follow(paths_, open_path_events(), &Leases::read_paths);
    due_.ask_all(); // for what nobody has heard until now
    learn_neighbours();
}

void Leases::drain(EventSocket& socket, const std::function<void(const nlmsghdr&)>& handle) {
    ++counts_.wakeups;
    const auto drained = socket.drain(handle, events_a_turn);
    if (!drained) {
        spdlog::error("{}", drained.error().message);
    } else if (!drained->complete) {
        due_.ask_all();
        learn_neighbours();
    }
    wake();
}

// Precise, and so cheap that it need not wait: nothing else has to be learned again.
void Leases::read_ends(EventSocket& socket) {
    ++counts_.conntrack_wakeups;
    drain(socket, [this](const nlmsghdr& event) {
        if (const auto ended = tracked_connection_of(event)) {
            end_flow(ended->original);
            end_flow(ended->reply);
        }
    });
}

void Leases::end_flow(const FlowTuple& tuple) {
    if (const auto ended = cache_->end_flow(tuple)) {
        counts_.flows += *ended;
    } else {
        spdlog::error("a flow is not ended before its lease: {}", ended.error().message);
    }
}

void Leases::read_rulesets(EventSocket& socket) {
    drain(socket, [this](const nlmsghdr& event) {
        if (is_foreign_ruleset(event)) {
            due_.ask_all();
        }
    });
}

void Leases::read_paths(EventSocket& socket) {
    drain(socket, [this](const nlmsghdr& event) {
        if (const auto concerned = concern_of_path(event, own_port_)) {
            concern(concerned->interface);
        } else if (const auto news = neighbour_news_of(event);
                   news && scope_.uplinks.contains(news->interface) && neighbours_.changes(*news)) {
            concern(news->interface);
        }
    });
}

// Whoever is behind a LAN device has connections by all uplinks.
void Leases::concern(uint32_t interface) {
    const auto uplink = scope_.uplinks.find(interface);
    if (uplink != scope_.uplinks.end() && uplink->second != LB_NO_UPLINK) {
        due_.ask(uplink->second);
    } else {
        due_.ask_all();
    }
}

// What has changed while nobody listened shows here as well.
void Leases::learn_neighbours() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    const auto learn = [this](const NeighbourNews& news) {
        if (scope_.uplinks.contains(news.interface) && neighbours_.changes(news)) {
            concern(news.interface);
        }
    };
    const auto read = socket ? read_neighbours(*socket, learn) : tl::unexpected(socket.error());
    if (!read) {
        spdlog::warn("neighbours that change are noticed late: {}", read.error().message);
    }
    wake();
}

void Leases::wake() {
    const auto when = due_.due();
    if (!when || waiting_) {
        return;
    }
    if (*when <= Clock::now()) {
        work();
        return;
    }
    waiting_ = true;
    timer_.expires_at(*when);
    timer_.async_wait([this](const error_code& error) {
        if (!error) {
            waiting_ = false;
            work();
        }
    });
}

void Leases::work() {
    const Time now = Clock::now();
    const auto what = due_.take(now);
    if (!what || !cache_) {
        return; // without a fast path there is nothing to end
    }
    const size_t flows = running_flows(directory_);
    if (const auto ended = end(*what); ended) {
        ++counts_.epochs;
        due_.done(now, flows);
        spdlog::debug("something has changed: {} flows are learned again", flows);
    } else {
        spdlog::error("flows are not ended: {}", ended.error().message);
        due_.failed(now, *what);
        wake();
    }
}

Status Leases::end(const EndedUplinks& what) {
    if (what.all) {
        return cache_->end_epochs();
    }
    for (const uint32_t id : what.ids) {
        if (auto ended = cache_->end_epoch(id); !ended) {
            return ended;
        }
    }
    return {};
}

} // namespace linkbal
