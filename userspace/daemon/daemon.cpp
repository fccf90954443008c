// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/daemon.h"

#include <algorithm>
#include <csignal>

#include <spdlog/spdlog.h>

#include "core/config_check.h"
#include "core/config_file.h"
#include "daemon/log.h"
#include "kernel/instance.h"

namespace linkbal {

namespace {

// Events come in bursts, and none of these is about a link of ours.
constexpr std::chrono::milliseconds soon{100};
// For what makes no event: pins, programs, sysctls.
constexpr std::chrono::seconds look_around{30};
constexpr std::chrono::milliseconds first_retry{500};
constexpr std::chrono::milliseconds longest_retry{30000};

std::vector<std::string> devices_of(const Config& config) {
    std::vector<std::string> devices = config.lan.interfaces;
    for (const UplinkConfig& uplink : config.uplinks) {
        devices.push_back(uplink.interface);
    }
    return devices;
}

std::vector<std::string> lines_of(const Refusal& refusal) {
    if (refusal.mistakes.empty()) {
        return {"linkbal: " + refusal.error.message};
    }
    std::vector<std::string> lines;
    std::ranges::transform(refusal.mistakes, std::back_inserter(lines), &ConfigError::str);
    return lines;
}

constexpr int failed = 1; // exit statuses
constexpr int wrong = 2;

Answer refused(const Refusal& refusal) {
    return {.exit = refusal.mistakes.empty() ? failed : wrong, .errors = lines_of(refusal)};
}

// `linkbal up` through us and SIGHUP: the same text, the same judgement.
tl::expected<Config, Refusal> read_config(std::string_view text, const std::string& file) {
    auto config = parse_config(text, file);
    if (!config) {
        return tl::unexpected(Refusal{.mistakes = config.error(), .error = {}});
    }
    if (auto mistakes = check_config(*config, file); !mistakes.empty()) {
        return tl::unexpected(Refusal{.mistakes = std::move(mistakes), .error = {}});
    }
    return *std::move(config);
}

} // namespace

Daemon::Daemon(DaemonOptions options, Config config, Gateway gateway)
    : options_(std::move(options)), config_(std::move(config)), reconciler_(std::move(gateway)),
      service_(context_), hooks_(context_, config_.hooks, options_.instance),
      links_(context_, options_.instance, [this] { request(Urgency::at_once); }),
      bring_up_(context_, options_.instance,
                {.place = [this](const std::string& uplink) { return links_.place(uplink); },
                 .mark = [this](const std::string& uplink) { return links_.mark(uplink); },
                 .ready =
                     [this](const std::string& uplink, std::optional<std::string> reason) {
                         links_.set_not_ready(uplink, std::move(reason));
                         request(Urgency::at_once);
                     }}),
      deaths_(context_, options_.instance), signals_(context_, SIGINT, SIGTERM, SIGHUP),
      timer_(context_), retry_(first_retry) {}

Status Daemon::open() {
    auto lock = lock_for_daemon(options_.instance);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    lock_ = *std::move(lock);
    // Before the first look: what changes after it is heard.
    auto events = KernelEvents::open(context_, options_.instance, reconciler_.route_port(),
                                     [this](Urgency urgency) {
                                         if (urgency == Urgency::at_once) {
                                             reconciler_.expect_changes();
                                         }
                                         request(urgency);
                                     });
    if (!events) {
        return tl::unexpected(events.error());
    }
    events_ = *std::move(events);
    auto server = ControlServer::open(context_, control_path(options_.instance),
                                      [this](const Request& request) { return answer(request); });
    if (!server) {
        return tl::unexpected(server.error());
    }
    server_ = *std::move(server);
    return {};
}

tl::expected<void, Refusal> Daemon::run() {
    const auto opened = open();
    const auto memory = opened ? reconciler_.memory() : tl::unexpected(opened.error());
    if (!memory) {
        return tl::unexpected(Refusal{.mistakes = {}, .error = memory.error()});
    }
    const bool takes_over = !memory->uplinks.empty();
    links_.configure(config_);
    links_.remember(*memory);
    if (!takes_over) {
        bring_up_.start(config_.uplinks);
    }
    const auto first = pass_with(config_, options_.file, nullptr);
    if (!first) {
        return tl::unexpected(first.error());
    }
    log_event(spdlog::level::info, takes_over ? "took over" : "set up",
              {{"instance", options_.instance}});
    await_signals();
    pass_at(Clock::now() + look_around);
    ServiceManager::ready(fmt::format("{} uplinks", config_.uplinks.size()));
    context_.run();
    return {};
}

void Daemon::await_signals() {
    signals_.async_wait([this](const error_code& error, int signal) {
        if (!error) {
            on_signal(signal);
        }
    });
}

void Daemon::on_signal(int signal) {
    if (signal == SIGHUP) {
        reload();
        await_signals();
        return;
    }
    if (options_.down_on_exit) {
        if (const auto removed = reconciler_.remove(); !removed) {
            spdlog::error("{}", removed.error().message);
        }
    }
    stop();
}

void Daemon::stop() {
    ServiceManager::stopping();
    bring_up_.stop();
    server_.reset();
    events_.reset();
    lock_->remove();
    context_.stop();
}

void Daemon::reload() {
    ServiceManager::reloading();
    auto config = load_config(options_.file);
    const auto applied = config ? pass_with(*config, options_.file, nullptr)
                                : tl::expected<Reconciler::Pass, Refusal>(tl::unexpected(
                                      Refusal{.mistakes = config.error(), .error = {}}));
    if (!applied) {
        for (const std::string& line : lines_of(applied.error())) {
            spdlog::error("{}", line);
        }
        spdlog::error("the configuration is not changed: the one before goes on");
    } else {
        spdlog::info("reloaded {}: {} changes", options_.file, applied->done.size());
    }
    ServiceManager::ready(applied ? fmt::format("{} uplinks", config_.uplinks.size())
                                  : "a bad configuration was refused, the one before goes on");
}

void Daemon::request(Urgency urgency) {
    pass_at(Clock::now() + (urgency == Urgency::at_once ? std::chrono::milliseconds(0) : soon));
}

void Daemon::pass_at(Time when) {
    if (when >= next_pass_) {
        return;
    }
    next_pass_ = when;
    timer_.expires_at(when);
    timer_.async_wait([this](const error_code& error) {
        if (!error) {
            pass();
        }
    });
}

void Daemon::pass() {
    next_pass_ = Time::max();
    const auto done = pass_with(config_, options_.file, nullptr);
    if (done) {
        retry_ = first_retry;
        pass_at(done->postponed.value_or(Clock::now() + look_around));
        return;
    }
    for (const std::string& line : lines_of(done.error())) {
        spdlog::error("{}; trying again in {} ms", line, retry_.count());
    }
    pass_at(Clock::now() + retry_);
    retry_ = std::min(2 * retry_, longest_retry);
}

// With another configuration than the one at work, this makes it that if all goes well.
tl::expected<Reconciler::Pass, Refusal>
Daemon::pass_with(const Config& config, const std::string& file, const UplinkRequest* request) {
    const auto judge = [&](const Facts& facts) {
        Conditions conditions = links_.conditions(facts);
        if (request != nullptr) {
            order(conditions.uplinks[request->uplink], *request);
        }
        return conditions;
    };
    auto done = reconciler_.pass(config, file, judge);
    if (done) {
        settle(*done, config);
    }
    return done;
}

void Daemon::settle(const Reconciler::Pass& pass, const Config& config) {
    if (&config != &config_) {
        config_ = config;
        links_.configure(config_);
        hooks_.reconfigure(config_.hooks);
    }
    if (pass.programs_loaded) {
        links_.open_maps_again();
    }
    events_->follow(devices_of(config_), pass.facts);
    for (const LinkChange& change : links_.settle(pass.desired, config_.balance.mark_mask)) {
        tell(change);
    }
    bring_up_.notify();
    const NetfilterState& netfilter = pass.desired.state.netfilter;
    const bool resets = config_.failover.reset && netfilter.resets;
    deaths_.settle(resets ? std::optional(netfilter.mark_mask) : std::nullopt, pass.facts);
}

void Daemon::tell(const LinkChange& change) {
    const auto level = change.event == LinkEvent::down ? spdlog::level::warn : spdlog::level::info;
    log_event(level, "link changed",
              {{"uplink", change.link.uplink},
               {"interface", change.link.interface},
               {"state", change.state},
               {"previous", change.previous},
               {"reason", change.reason}});
    hooks_.changed(change);
    const auto uplink = std::ranges::find(config_.uplinks, change.link.uplink, &UplinkConfig::name);
    if (change.event == LinkEvent::up) {
        bring_up_.on_up(change.link.uplink);
    } else if (change.event == LinkEvent::down && uplink != config_.uplinks.end() &&
               !change.previous.empty()) {
        bring_up_.on_down(*uplink);
    }
}

Answer Daemon::answer(const Request& request) {
    if (const auto* up = std::get_if<ApplyRequest>(&request)) {
        return apply(*up);
    }
    if (const auto* order = std::get_if<UplinkRequest>(&request)) {
        return obey(*order);
    }
    if (std::holds_alternative<RemoveRequest>(request)) {
        return remove();
    }
    return {.uplinks = links_.status()};
}

Answer Daemon::apply(const ApplyRequest& request) {
    const auto config = read_config(request.text, request.file);
    if (!config) {
        return refused(config.error());
    }
    const auto done = pass_with(*config, request.file, nullptr);
    if (!done) {
        return refused(done.error());
    }
    const std::string summary = done->done.empty()
                                    ? "nothing to do"
                                    : fmt::format("up: {} uplinks, {} changes",
                                                  done->desired.uplinks.size(), done->done.size());
    return {.output = {summary}, .done = done->done};
}

Answer Daemon::remove() {
    const auto removed = reconciler_.remove();
    if (!removed) {
        return refused({.mistakes = {}, .error = removed.error()});
    }
    // After the answer has been sent.
    asio::post(context_, [this] {
        spdlog::info("removed by `linkbal down`");
        stop();
    });
    return {.output = {*removed ? "down" : "nothing to do"}};
}

Answer Daemon::obey(const UplinkRequest& order) {
    const auto uplink = std::ranges::find(config_.uplinks, order.uplink, &UplinkConfig::name);
    if (uplink == config_.uplinks.end()) {
        return {.exit = wrong,
                .errors = {fmt::format("linkbal: there is no uplink {}", order.uplink)}};
    }
    const auto done = pass_with(config_, options_.file, &order);
    if (!done) {
        return refused(done.error());
    }
    return {.done = done->done};
}

} // namespace linkbal
