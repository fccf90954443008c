// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/passive_watch.h"

#include <algorithm>

#include <spdlog/spdlog.h>

namespace linkbal {

namespace {

constexpr std::chrono::milliseconds longest_period{500};

} // namespace

PassiveWatch::PassiveWatch(asio::io_context& context, std::string instance,
                           std::function<void()> on_reading)
    : timer_(context), instance_(std::move(instance)), on_reading_(std::move(on_reading)) {}

void PassiveWatch::follow(std::set<uint32_t> uplinks, std::chrono::milliseconds interval) {
    const bool idle = uplinks_.empty();
    period_ = std::min(interval, longest_period);
    uplinks_ = std::move(uplinks);
    if (idle && !uplinks_.empty()) {
        schedule();
    }
}

void PassiveWatch::schedule() {
    timer_.expires_after(period_);
    timer_.async_wait([this](const error_code& error) {
        if (!error && !uplinks_.empty()) {
            read();
            schedule();
        }
    });
}

void PassiveWatch::read() {
    if (!reader_) {
        auto opened = HandshakeReader::open(instance_);
        if (!opened) { // nothing is loaded at the moment
            spdlog::debug("{}", opened.error().message);
            return;
        }
        reader_ = *std::move(opened);
    }
    const Time now = Clock::now();
    for (const uint32_t uplink : uplinks_) {
        for (const Family family : families) {
            if (const auto counters = reader_->read(uplink, family)) {
                health_.observe(uplink, family, *counters, now);
            }
        }
    }
    on_reading_();
}

} // namespace linkbal
