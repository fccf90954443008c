// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/deaths.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <spdlog/spdlog.h>

#include "kernel/death_events.h"
#include "kernel/resets.h"
#include "kernel/route_lookup.h"

namespace linkbal {

namespace {

// Deaths come in bursts, and the transaction that announces one can announce many.
constexpr std::chrono::milliseconds collecting{20};
// In one turn of the event loop; probes and the control socket have the next.
constexpr size_t events_a_turn = 1024;
constexpr size_t resets_a_turn = 1024;
constexpr std::chrono::minutes between_complaints{1};

} // namespace

Deaths::Deaths(asio::io_context& context, std::string instance)
    : context_(&context), instance_(std::move(instance)), timer_(context) {}

Deaths::~Deaths() { follow(std::nullopt); }

void Deaths::settle(std::optional<uint32_t> mask, const Facts& facts) {
    in_use_ = addresses_in_use(facts);
    follow(mask);
    if (!undecided_.empty()) {
        wake_at(Clock::now());
    }
}

// What can't be heard is said once, not at every pass.
void Deaths::follow(std::optional<uint32_t> mask) {
    if (mask == mask_) {
        return;
    }
    mask_ = mask;
    if (listener_) {
        listener_.reset();
        undecided_.clear();
    }
    if (!mask) {
        return;
    }
    auto socket = open_death_events(*mask);
    if (!socket) {
        spdlog::warn(
            "clients that only wait are not told when an interface or an address goes away: {}",
            socket.error().message);
        return;
    }
    listener_.emplace(*context_, *std::move(socket), [this](EventSocket& events) { read(events); });
}

void Deaths::read(EventSocket& socket) {
    ++reads_;
    hear(socket);
    if (!undecided_.empty()) {
        wake_at(Clock::now() + collecting);
    }
    complain(Clock::now());
}

void Deaths::hear(EventSocket& socket) {
    auto routes = RouteLookup::open();
    if (!routes) {
        spdlog::error("{}", routes.error().message);
    }
    const Time now = Clock::now();
    const auto is_behind_us = [&](const IpAddress& a) { return routes && routes->is_behind_us(a); };
    const auto drained = socket.drain(
        [&](const nlmsghdr& event) {
            if (waiting() >= most_resets) {
                ++lost_;
            } else if (auto death = death_of(event, is_behind_us, now)) {
                undecided_.push_back(*std::move(death));
            }
        },
        events_a_turn);
    if (!drained) {
        spdlog::error("{}", drained.error().message);
    } else if (!drained->complete) {
        ++lost_;
    }
}

// Harmless: these clients find out by themselves.
void Deaths::complain(Time now) {
    if (lost_ > 0 && (!complained_ || now - *complained_ >= between_complaints)) {
        spdlog::warn("more connections ended at once than could be followed: some clients are not "
                     "told and have to find out by themselves");
        complained_ = now;
        lost_ = 0;
    }
}

void Deaths::wake_at(Time when) {
    if (when >= wake_) {
        return;
    }
    wake_ = when;
    timer_.expires_at(when);
    timer_.async_wait([this](const error_code& error) {
        if (!error) {
            work();
        }
    });
}

void Deaths::work() {
    wake_ = Time::max();
    decide(Clock::now());
    reset_some();
    if (!doomed_.empty()) {
        wake_at(Clock::now());
    } else if (!undecided_.empty()) {
        wake_at(undecided_.front().heard + death_patience);
    }
}

void Deaths::decide(Time now) {
    std::erase_if(undecided_, [&](const Death& death) {
        const Fate fate = fate_of(death, in_use_, now);
        if (fate == Fate::reset) {
            doomed_.push_back(death.connection);
        }
        return fate != Fate::wait;
    });
}

void Deaths::reset_some() {
    const auto count = std::min(doomed_.size(), resets_a_turn);
    const auto end = std::next(doomed_.begin(), static_cast<std::ptrdiff_t>(count));
    const std::vector<TcpConnection> some(doomed_.begin(), end);
    doomed_.erase(doomed_.begin(), end);
    if (some.empty()) {
        return;
    }
    if (const auto done = reset_clients(instance_, some); !done) {
        spdlog::warn("connections have ended with their link, but their clients are not told: {}",
                     done.error().message);
        return;
    }
    resets_ += some.size();
}

} // namespace linkbal
