// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/daemon.h"

#include <algorithm>
#include <csignal>

#include <spdlog/spdlog.h>

#include "core/config_file.h"
#include "daemon/log.h"
#include "daemon/refusal.h"
#include "kernel/instance.h"

namespace linkbal {

namespace {

// Events come in bursts, and none of these is about a link of ours.
constexpr std::chrono::milliseconds soon{100};
// For what makes no event: pins, programs, sysctls.
constexpr std::chrono::seconds look_around{30};
constexpr std::chrono::milliseconds first_retry{500};
constexpr std::chrono::milliseconds longest_retry{30000};
// To go back before the end; TimeoutStopSec of the service leaves time for one more attempt.
constexpr std::chrono::seconds longest_return{60};

std::vector<std::string> devices_of(const Config& config) {
    std::vector<std::string> devices = config.lan.interfaces;
    for (const UplinkConfig& uplink : config.uplinks) {
        devices.push_back(uplink.interface);
    }
    return devices;
}

Leases::Scope lease_scope(const DatapathState& datapath, const Facts& facts) {
    Leases::Scope scope{.mark_mask = datapath.mark_mask, .uplinks = {}};
    const auto add = [&](const std::string& device, uint32_t uplink) {
        if (const Interface* found = facts.interface(device)) {
            scope.uplinks[found->index] = uplink;
        }
    };
    for (const std::string& device : datapath.lan_devices) {
        add(device, LB_NO_UPLINK);
    }
    for (const DatapathUplink& uplink : datapath.uplinks) {
        add(uplink.device, uplink.id);
    }
    return scope;
}

} // namespace

Daemon::Daemon(DaemonOptions options, Config config, Gateway gateway)
    : options_(std::move(options)), config_(std::move(config)), reconciler_(std::move(gateway)),
      service_(context_), hooks_(context_, config_.hooks, options_.instance),
      links_(context_, options_.instance, [this] { look(Urgency::at_once); }),
      bring_up_(context_, options_.instance,
                {.config = [this](const std::string& uplink) { return config_of(uplink); },
                 .place = [this](const std::string& uplink) { return links_.place(uplink); },
                 .mark = [this](const std::string& uplink) { return links_.mark(uplink); },
                 .ready =
                     [this](const std::string& uplink, std::optional<std::string> reason) {
                         links_.set_ready(uplink, std::move(reason));
                         look(Urgency::at_once);
                     }}),
      deaths_(context_, options_.instance),
      leases_(context_, Datapath(options_.instance).directory(), reconciler_.route_port()),
      trial_(context_, options_.instance, [this] { end_trial(); }),
      signals_(context_, SIGINT, SIGTERM, SIGHUP), timer_(context_), retry_(first_retry) {}

std::optional<UplinkConfig> Daemon::config_of(const std::string& uplink) const {
    const auto found = std::ranges::find(config_.uplinks, uplink, &UplinkConfig::name);
    return found == config_.uplinks.end() ? std::nullopt : std::optional(*found);
}

Status Daemon::open() {
    auto lock = lock_for_daemon(options_.instance);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    lock_ = *std::move(lock);
    // Before the first look: what changes after it is heard.
    auto events = KernelEvents::open(context_, options_.instance, reconciler_.route_port(),
                                     [this](Urgency urgency) {
                                         if (urgency == Urgency::moved) {
                                             reconciler_.expect_changes();
                                         }
                                         look(urgency);
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
    const auto found = opened ? find_trial() : tl::unexpected(opened.error());
    const auto memory = found ? reconciler_.memory() : tl::unexpected(found.error());
    if (!memory) {
        if (opened) {
            (void)end();
        }
        return tl::unexpected(Refusal{.mistakes = {}, .error = memory.error()});
    }
    const bool takes_over = !memory->uplinks.empty();
    links_.configure(config_);
    links_.remember(*memory);
    bring_up_.start(links_.to_bring_up());
    // What is at work goes on to be looked after, even if something contradicts it by now.
    const auto first =
        pass_with(takes_over ? Reconciler::Occasion::routine : Reconciler::Occasion::request);
    if (!first) {
        (void)end();
        return tl::unexpected(first.error());
    }
    if (memory->unconfirmed) {
        log_unnoted(trial_.returned());
    }
    log_event(spdlog::level::info, takes_over ? "took over" : "set up",
              {{"instance", options_.instance}});
    await_signals();
    pass_at(Clock::now() + look_around);
    ServiceManager::ready(fmt::format("{} uplinks", config_.uplinks.size()));
    context_.run();
    return end();
}

// Nothing of the daemon stays; below /run not even the directory, if nothing else is there.
tl::expected<void, Refusal> Daemon::end() {
    server_.reset();
    lock_->remove();
    (void)InstanceLock::acquire(options_.instance, std::chrono::seconds(1));
    return removal_ ? tl::expected<void, Refusal>{}
                    : tl::unexpected(Refusal{.mistakes = {}, .error = removal_.error()});
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
        removal_ = reconciler_.remove();
    } else if (trial_.waits() && !gives_up_) {
        gives_up_ = Clock::now() + longest_return;
        await_signals();
        end_trial();
        return;
    } else if (trial_.waits()) {
        give_up();
    }
    stop();
}

void Daemon::stop() {
    ServiceManager::stopping();
    bring_up_.stop();
    events_.reset();
    context_.stop();
}

void Daemon::reload() {
    ServiceManager::reloading();
    if (const auto words = trial_.words()) {
        spdlog::error("not reloaded: {}", *words);
        ServiceManager::ready(*words);
        return;
    }
    const auto config = load_config(options_.file);
    const auto applied =
        config ? change_to(*config, options_.file)
               : Outcome(tl::unexpected(Refusal{.mistakes = config.error(), .error = {}}));
    if (applied) {
        log_unnoted(trial_.end_stale());
        spdlog::info("reloaded {}: {} changes", options_.file, applied->actions.size());
    } else {
        for (const std::string& line : lines_of(applied.error())) {
            spdlog::error("{}", line);
        }
        spdlog::error("the configuration is not changed: the one before goes on");
    }
    ServiceManager::ready(applied ? fmt::format("{} uplinks", config_.uplinks.size())
                                  : "a bad configuration was refused, the one before goes on");
}

// What is not about a link of ours may come thousands of times a minute, from a routing daemon: to
// look at it takes a twentieth of the time at most.
void Daemon::look(Urgency urgency) {
    constexpr int rest = 20;
    const auto pause = std::max<Clock::duration>(soon, rest * effort_);
    pass_at(Clock::now() + (urgency == Urgency::soon ? pause : Clock::duration{}));
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
    if (removed_) {
        return;
    }
    const auto done = pass_with(Reconciler::Occasion::routine);
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

// From what is seen to what is known of the links, and what a command asks for on top.
Reconciler::Judge Daemon::judge(const UplinkRequest* request) {
    return [this, request](const Facts& facts) {
        links_.see(facts);
        Conditions conditions = links_.conditions();
        if (request != nullptr) {
            order(conditions.uplinks[request->uplink], *request);
        }
        return conditions;
    };
}

Daemon::Outcome Daemon::pass_with(Reconciler::Occasion occasion, const UplinkRequest* request) {
    const Time begin = Clock::now();
    auto done = reconciler_.pass(occasion, config_, options_.file, judge(request));
    effort_ = Clock::now() - begin;
    if (done) {
        settle(*done);
    }
    return done;
}

// All goes well, or the configuration before goes on.
Daemon::Outcome Daemon::change_to(const Config& config, const std::string& file,
                                  Reconciler::Occasion occasion) {
    links_.configure(config);
    auto done = reconciler_.pass(occasion, config, file, judge());
    if (!done) {
        links_.configure(config_);
        look(Urgency::at_once);
        return done;
    }
    config_ = config;
    hooks_.reconfigure(config_.hooks);
    settle(*done);
    bring_up_.start(links_.to_bring_up());
    return done;
}

void Daemon::settle(const Reconciler::Pass& pass) {
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
    leases_.settle(lease_scope(pass.desired.state.datapath, pass.facts), pass.programs_loaded);
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
    if (change.event == LinkEvent::up) {
        bring_up_.on_up(change.link.uplink);
    } else if (change.event == LinkEvent::down) {
        bring_up_.on_down(change.link.uplink);
    }
}

} // namespace linkbal
