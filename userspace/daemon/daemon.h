// SPDX-License-Identifier: GPL-2.0-or-later
// `linkbal run`: keeps the gateway right.
#pragma once

#include "daemon/asio.h"

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/signal_set.hpp>

#include "core/config.h"
#include "core/control.h"
#include "daemon/bring_up_order.h"
#include "daemon/control_server.h"
#include "daemon/deaths.h"
#include "daemon/hooks.h"
#include "daemon/kernel_events.h"
#include "daemon/leases.h"
#include "daemon/links.h"
#include "daemon/reconciler.h"
#include "daemon/service.h"
#include "daemon/trial.h"
#include "util/clock.h"
#include "util/lock_file.h"

namespace linkbal {

struct DaemonOptions {
    std::string instance;
    std::string file; // of the configuration, read again at SIGHUP
    bool down_on_exit = false;
};

class Daemon {
  public:
    Daemon(DaemonOptions options, Config config, Gateway gateway);

    // Takes over or sets up, then stays until a signal or `down` ends it. The refusal is that of the
    // first pass or of the removal at the end; others are logged and tried again.
    tl::expected<void, Refusal> run();

  private:
    using Outcome = tl::expected<Reconciler::Pass, Refusal>;

    Status open();
    tl::expected<void, Refusal> end();
    void await_signals();
    void on_signal(int signal);
    void stop();
    void reload();

    // A pass at once, or soon; what is asked for meanwhile is done by the same one.
    void look(Urgency urgency);
    void pass_at(Time when);
    void pass();
    Outcome pass_with(Reconciler::Occasion occasion, const UplinkRequest* request = nullptr);
    Outcome change_to(const Config& config, const std::string& file,
                      Reconciler::Occasion occasion = Reconciler::Occasion::request);
    Status find_trial();
    Status take_back(const Unconfirmed& change);
    bool go_back();
    void end_trial();
    void give_up();
    [[nodiscard]] Reconciler::Judge judge(const UplinkRequest* request = nullptr);
    void settle(const Reconciler::Pass& pass);
    void tell(const LinkChange& change);
    [[nodiscard]] std::optional<UplinkConfig> config_of(const std::string& uplink) const;

    Answer answer(const Request& request);
    Answer apply(const ApplyRequest& request);
    Answer apply(const Config& config, const ApplyRequest& request);
    Answer apply_for_good(const Config& config, const ApplyRequest& request);
    Answer apply_on_trial(const Config& config, const ApplyRequest& request);
    Answer confirm();
    Answer plan(const Config& config, const std::string& file);
    Answer remove();
    Answer obey(const UplinkRequest& order);

    asio::io_context context_;
    DaemonOptions options_;
    Config config_;
    std::optional<LockFile> lock_;
    Reconciler reconciler_;
    ServiceManager service_;
    Hooks hooks_;
    Links links_;
    BringUpOrder bring_up_;
    Deaths deaths_;
    Leases leases_;
    Trial trial_;
    asio::signal_set signals_;
    asio::steady_timer timer_; // of the next pass
    Time next_pass_ = Time::max();
    std::chrono::milliseconds retry_;
    Clock::duration effort_{};     // of the last pass
    Result<bool> removal_ = false; // with --down-on-exit; an error: it, or going back, has failed
    std::optional<Time> gives_up_; // going back on the way to the end
    std::unique_ptr<KernelEvents> events_;
    std::unique_ptr<ControlServer> server_;
    bool removed_ = false; // by `down`: nothing may be set up again on the way to the end
};

} // namespace linkbal
