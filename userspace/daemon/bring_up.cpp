// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/bring_up.h"

#include <optional>
#include <string_view>

#include "daemon/log.h"
#include "daemon/way_out.h"

namespace linkbal {

namespace {

// Without it the commands take whatever way the gateway's own traffic takes: still better than a link
// that is never used.
std::optional<WayOut> way_out_of(const BringUp& job) {
    auto way_out = WayOut::make(job.instance, job.uplink.name, job.mark);
    if (way_out) {
        return *std::move(way_out);
    }
    log_event(spdlog::level::warn, "the bring-up's commands are not held to their link",
              {{"uplink", job.uplink.name}, {"reason", way_out.error().message}});
    return std::nullopt;
}

ProcessSpec command_of(const BringUp& job, std::string_view name, const CommandWords& words,
                       int cgroup) {
    LinkPlace place = job.place().value_or(LinkPlace{});
    place.uplink = job.uplink.name;
    place.interface = job.uplink.interface;
    place.mark = job.mark;
    return {.words = words,
            .environment = link_environment(name, job.instance, place),
            .time_limit = job.uplink.command_timeout,
            .cgroup = cgroup,
            .title = fmt::format("uplink {}: {}", job.uplink.name, name)};
}

// Those pointed to live in bring_up_link(), which waits for this and the next one.
asio::awaitable<Status> run_step(const BringUp* job, std::string_view name,
                                 const CommandWords* words, int cgroup) {
    if (words->empty()) {
        co_return Status{};
    }
    const auto result = co_await job->processes->run(command_of(*job, name, *words, cgroup));
    co_return result.succeeded() ? Status{}
                                 : Status(fail("uplink {}: {} ({}): {}", job->uplink.name, name,
                                               words->front(), result.describe()));
}

asio::awaitable<Status> run_through_link(const BringUp* job) {
    const auto way_out = way_out_of(*job);
    const int cgroup = way_out ? way_out->cgroup() : -1;
    Status status = co_await run_step(job, "log_in", &job->uplink.log_in, cgroup);
    if (status) {
        status = co_await run_step(job, "test", &job->uplink.test, cgroup);
    }
    co_return status;
}

Status judge_place(const BringUp& job) {
    const auto place = job.place();
    return place ? Status{}
                 : Status(fail("uplink {}: not usable within {:g} s: {}", job.uplink.name,
                               static_cast<double>(job.uplink.command_timeout.count()) / 1000,
                               place.error().message));
}

} // namespace

asio::awaitable<Status> bring_up_link(BringUp job) {
    const UplinkConfig& uplink = job.uplink;
    if (uplink.bring_up.empty() && uplink.log_in.empty() && uplink.test.empty()) {
        co_return Status{};
    }
    // This one by the way that everybody has: what carries a tunnel must not be sent into it.
    Status status = co_await run_step(&job, "bring_up", &uplink.bring_up, -1);
    if (!status) {
        co_return status;
    }
    co_await job.changes->wait_until([&job] { return job.place().has_value(); },
                                     uplink.command_timeout);
    status = judge_place(job);
    if (status && !(uplink.log_in.empty() && uplink.test.empty())) {
        status = co_await run_through_link(&job);
    }
    co_return status;
}

} // namespace linkbal
