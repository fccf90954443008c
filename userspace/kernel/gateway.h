// SPDX-License-Identifier: GPL-2.0-or-later
// One instance of linkbal in this network namespace: reads what is, decides, applies, goes back.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/conditions.h"
#include "core/config.h"
#include "core/config_error.h"
#include "core/desired.h"
#include "core/memory.h"
#include "core/plan.h"
#include "core/plan_notation.h"
#include "kernel/datapath.h"
#include "kernel/facts_reader.h"
#include "kernel/features.h"
#include "kernel/netlink.h"
#include "kernel/nftables.h"
#include "util/result.h"

namespace linkbal {

class Applier;

// Everything that is decided before anything is touched.
struct Preparation {
    Memory memory; // as it was
    Desired desired;
    Plan plan;
    std::vector<RefusedXdp> refused_xdp; // by devices that are there
    bool to_remember = false;            // something that changes nothing in the kernel
    ConfigSource source;                 // of the configuration that it is for
    NotationContext notation;
    std::vector<std::string> warnings; // a line each
};

// Why a preparation failed: the configuration does not fit this machine (`mistakes`), or the kernel
// could not be asked or is not able (`error`).
struct Refusal {
    std::vector<ConfigError> mistakes;
    Error error;
};

// Called with each action just before it is done.
using Progress = std::function<void(const Action&, const NotationContext&)>;

class Gateway {
  public:
    static Result<Gateway> open(const std::string& instance);

    [[nodiscard]] Result<Observation> observe_now();
    // What the last apply() has left to remember; empty where there was none.
    [[nodiscard]] Result<Memory> memory() const { return memory_of_this_namespace(); }

    // Holds `config` against this machine and compares. Touches nothing.
    tl::expected<Preparation, Refusal> prepare(const Config& config, const std::string& file);
    // The same for a machine that has been seen already.
    tl::expected<Preparation, Refusal> prepare(const Config& config, const std::string& file,
                                               const Observation& seen,
                                               const Conditions& conditions);
    // The comparison alone, for a configuration that is at work: what has come to contradict it since
    // is no reason to stop looking after the links.
    Result<Preparation> compare_with(const Config& config, const Observation& seen,
                                     const Conditions& conditions);
    // Carries the plan out and remembers what it was for. On failure everything is as before and the error says what failed, and
    // what could not be undone, if anything.
    Status apply(const Preparation& preparation, const Progress& progress);
    // True once after apply() has failed because a device would not have our XDP program. The next
    // preparation knows, and that device is tc's.
    [[nodiscard]] bool take_xdp_refusal() { return std::exchange(was_refused_xdp_, false); }
    // What went wrong in the last apply() and was no reason to go back, a line each.
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
    // Removes everything that is ours and restores what was there before the first apply(). Goes on
    // after failures and reports them all. False: there was nothing to remove.
    Result<bool> remove(const Progress& progress);

    [[nodiscard]] const std::string& instance() const { return instance_; }
    // Of the changes to routes and rules, among the kernel's events.
    [[nodiscard]] uint32_t route_port() const { return route_socket_.port(); }

  private:
    Gateway(const std::string& instance, NetlinkSocket route_socket)
        : instance_(instance), route_socket_(std::move(route_socket)), datapath_(instance) {}
    [[nodiscard]] Result<Memory> memory_of_this_namespace() const;
    [[nodiscard]] Result<ActualState> actual_state(const Observation& seen,
                                                   std::optional<ActualDatapath> datapath,
                                                   NetfilterMatch netfilter,
                                                   const std::vector<std::string>& sysctls) const;
    Result<DatapathAbilities> abilities(const BalanceConfig& config);
    [[nodiscard]] std::vector<RefusedXdp> known_refusals(const Memory& memory,
                                                         const Facts& facts) const;
    void note_refusal(const Applier& applier, const std::vector<Interface>& interfaces);
    void forget_attempt(const Memory& former, bool mounted);

    std::string instance_;
    NetlinkSocket route_socket_;
    Datapath datapath_;
    std::optional<KernelFeatures> features_; // asked for once
    std::vector<std::string> warnings_;
    std::vector<RefusedXdp> refused_xdp_; // not remembered yet
    bool was_refused_xdp_ = false;
};

} // namespace linkbal
