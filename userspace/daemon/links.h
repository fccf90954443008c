// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon knows of its links: watches, verdicts, states, and who is told when they change.
#pragma once

#include "daemon/asio.h"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/conditions.h"
#include "core/config.h"
#include "core/control.h"
#include "core/desired.h"
#include "core/facts.h"
#include "core/link_state.h"
#include "core/memory.h"
#include "daemon/link_change.h"
#include "daemon/link_watch.h"
#include "daemon/passive_watch.h"
#include "kernel/neighbours.h"

namespace linkbal {

class Links {
  public:
    // `on_verdict` is called from the event loop when a link has become fit or unfit.
    Links(asio::io_context& context, const std::string& instance, std::function<void()> on_verdict);

    // Links that stay, and whose health is configured as before, keep what is known of them.
    void configure(const Config& config);
    // The verdicts of the daemon before: what carried no connections must first show that it can.
    void remember(const Memory& memory);

    // Where the links are now. To be told before anything is decided or settled on them.
    void see(const Facts& facts);
    // What is known of them, for a decision.
    [[nodiscard]] Conditions conditions();
    // The decision that came of it: watches go where the links are. Returns the links whose state has
    // changed.
    std::vector<LinkChange> settle(const Desired& desired, uint32_t mark_mask);

    // A link may not be used yet, and why; empty: it has been brought up.
    void set_ready(const std::string& uplink, std::optional<std::string> reason);
    // Those with commands that have not been brought up, by this daemon or another one, in order.
    [[nodiscard]] std::vector<std::string> to_bring_up() const;

    // For hooks, after a command has changed the weight; empty: there is no such link.
    [[nodiscard]] std::optional<LinkChange> weight_change(const std::string& uplink) const;
    // As it was settled last; an error says what is missing: "eth1 has no address and gateway".
    [[nodiscard]] Result<LinkPlace> place(const std::string& uplink) const;
    // Of the uplink's packets; 0 before it was settled.
    [[nodiscard]] uint32_t mark(const std::string& uplink) const;
    // The programs, and with them the maps, may be others now.
    void open_maps_again() { passive_.open_again(); }
    [[nodiscard]] std::vector<WatchedUplink> status() const;

  private:
    struct Link {
        UplinkConfig config;
        std::optional<Interface> interface;   // as last seen; empty: not there
        std::optional<Uplink> uplink;         // as last settled
        std::array<bool, 2> good{true, true}; // by Family, as last judged
        std::optional<std::string> not_ready;
        bool brought_up = false;
        std::optional<LinkState> state;
        // By Family; empty: no way out, or nothing to probe.
        std::array<std::optional<LinkWatch>, 2> watches;
        std::array<LinkWatch::Precedent, 2> before; // of the next watch
        std::array<bool, 2> cut_off{};              // since the last watch, if there was one
    };

    void set_fitness(Link& link, Family family, const FamilyFitness& fitness);
    [[nodiscard]] static LinkObservation observation(const Link& link);
    [[nodiscard]] static LinkState state_now(const Link& link);
    void look();
    static void follow(LinkWatch& watch, const ProbePath& path);
    void settle_watches(Link& link, const Uplink& uplink);
    void watch(Link& link, const Uplink& uplink, Family family);
    [[nodiscard]] std::optional<LinkChange> settle_state(Link& link) const;
    bool gateway_missing(const std::string& uplink, Family family);
    void on_judgement(const std::string& uplink, Family family, const Judgement& judgement);

    asio::io_context* context_;
    std::function<void()> on_verdict_;
    std::map<std::string, Link> links_;
    std::vector<std::string> order_; // the configuration's
    uint32_t mark_mask_ = 0;
    PassiveWatch passive_;
    Neighbours neighbours_;
};

} // namespace linkbal
