// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/gateway.h"

#include <algorithm>
#include <iterator>

#include <linux/netlink.h>

#include "core/config_check.h"
#include "core/confirmation.h"
#include "kernel/applier.h"
#include "kernel/bpffs.h"
#include "kernel/expedited_rcu.h"
#include "kernel/gateway_memory.h"
#include "kernel/instance.h"
#include "kernel/sysctl.h"
#include "kernel/table_names.h"

namespace linkbal {

namespace {

std::vector<Sysctl> present_values(const std::vector<std::string>& keys) {
    std::vector<Sysctl> values;
    for (const std::string& key : keys) {
        if (const auto value = read_sysctl(key)) {
            values.push_back({key, *value});
        }
    }
    return values;
}

ActualState::Netfilter netfilter_state(NetfilterMatch match) {
    switch (match) {
    case NetfilterMatch::absent:
    case NetfilterMatch::foreign: // not ours: nothing of ours is there
        return ActualState::Netfilter::absent;
    case NetfilterMatch::same:
        return ActualState::Netfilter::same;
    case NetfilterMatch::different:
        break;
    }
    return ActualState::Netfilter::different;
}

NotationContext notation_context(const std::string& instance, const GatewayState& state) {
    return {.instance = instance,
            .table_names = state.table_names,
            .uplinks = state.datapath.uplinks,
            .table_names_file = table_names_path(instance).string()};
}

Result<DatapathAbilities> abilities_of(const KernelFeatures& features, AttachMode mode) {
    if (mode == AttachMode::tcx && !features.tcx) {
        return fail("attach = \"tcx\": this kernel has no TCX links (6.6 and later have them)");
    }
    return DatapathAbilities{.use_tcx = mode != AttachMode::clsact && features.tcx,
                             .conntrack_lookup = features.conntrack_lookup,
                             .resets = features.prerouting_reject,
                             .conntrack_timeout = features.conntrack_timeout};
}

// How the table of our name is; somebody else's is an error.
Result<NetfilterMatch> compare_own_table(const std::string& instance, const NetfilterState& state) {
    auto match = compare(instance, state);
    if (match && *match == NetfilterMatch::foreign) {
        return fail("nftables has a table inet {0} that linkbal did not write: name this instance "
                    "differently with --instance",
                    instance);
    }
    return match;
}

std::vector<std::string> keys_of(const std::vector<Sysctl>& sysctls) {
    std::vector<std::string> keys;
    std::ranges::transform(sysctls, std::back_inserter(keys), &Sysctl::key);
    return keys;
}

std::vector<std::string> warnings_of(const KernelFeatures& features,
                                     const std::vector<Uplink>& uplinks) {
    std::vector<std::string> warnings = missing_features(features);
    for (const Uplink& uplink : uplinks) {
        if (!uplink.has_any_path()) {
            warnings.push_back(
                fmt::format("uplink {}: {} is switched off: it gets no connections; run "
                            "`linkbal up` again when it is up",
                            uplink.name, uplink.device));
        }
    }
    return warnings;
}

// Open connections carry their uplink under the mask: with another one they would lose it.
Status keeps_mask(const Config& config, const std::optional<ActualDatapath>& datapath) {
    if (!datapath || !datapath->current || datapath->state.mark_mask == config.balance.mark_mask) {
        return {};
    }
    return fail(
        "mark_mask is {:#010x} and can't become {:#010x} while connections carry their uplink "
        "under it: run `linkbal down` first",
        datapath->state.mark_mask, config.balance.mark_mask);
}

// What a more privileged process has loaded can do more than we could load.
void add_abilities_of(const std::optional<ActualDatapath>& datapath, DatapathAbilities& able) {
    if (datapath && datapath->current) {
        able.conntrack_lookup |= datapath->state.conntrack_lookup;
        able.conntrack_timeout |= datapath->state.conntrack_timeout;
    }
}

bool differs(const Memory& memory, const Desired& desired, const ConfigSource& source) {
    return memory.uplinks != remembered(desired.uplinks) || memory.families != desired.families ||
           memory.forwarding != desired.forwarding || memory.applied != source;
}

std::vector<std::string> keys_of_interest(const std::vector<Sysctl>& desired,
                                          const Memory& memory) {
    auto keys = keys_of(desired);
    std::ranges::move(sysctls_to_return(memory), std::back_inserter(keys));
    std::ranges::sort(keys);
    const auto repeated = std::ranges::unique(keys);
    keys.erase(repeated.begin(), repeated.end());
    return keys;
}

} // namespace

Result<Gateway> Gateway::open(const std::string& instance) {
    // Where the pins are hidden, what is loaded would look like nothing.
    if (auto visible = require_visible_bpffs(); !visible) {
        return tl::unexpected(visible.error());
    }
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    return Gateway(instance, *std::move(socket));
}

Result<Memory> Gateway::memory_of_this_namespace() const {
    auto memory = read_memory(instance_);
    const auto here = network_namespace();
    if (!memory || !here) {
        return tl::unexpected(memory ? here.error() : memory.error());
    }
    if (memory->network_namespace != 0 && memory->network_namespace != *here) {
        return fail("instance {} is at work in another network namespace: name this one with "
                    "--instance, or remove /run/{} if that namespace is gone",
                    instance_, instance_);
    }
    if (memory->network_namespace == 0) {
        if (const auto other = other_instance_here(instance_, *here)) {
            return fail(
                "instance {} is at work in this network namespace: there can be one only, and "
                "{} is not it",
                *other, instance_);
        }
    }
    return memory;
}

Result<ActualState> Gateway::actual_state(const Observation& seen,
                                          std::optional<ActualDatapath> datapath,
                                          NetfilterMatch netfilter,
                                          const std::vector<std::string>& sysctls) const {
    auto names = read_table_names(instance_);
    if (!names) {
        return tl::unexpected(names.error());
    }
    return ActualState{.routes = seen.our_routes,
                       .rules = seen.our_rules,
                       .sysctls = present_values(sysctls),
                       .netfilter = netfilter_state(netfilter),
                       .datapath = std::move(datapath),
                       .table_names = *std::move(names)};
}

Result<DatapathAbilities> Gateway::abilities(const BalanceConfig& config) {
    if (!features_) {
        const auto probed = probe_features();
        if (!probed) {
            return tl::unexpected(probed.error());
        }
        features_ = *probed;
    }
    return abilities_of(*features_, config.attach);
}

Result<Preparation> Gateway::compare_with(const Config& config, const Observation& seen,
                                          const Conditions& conditions) {
    auto memory = memory_of_this_namespace();
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    if (auto ours = check_table_names_file(instance_); !ours) {
        return tl::unexpected(ours.error());
    }
    auto datapath = datapath_.read();
    if (!datapath) {
        return tl::unexpected(datapath.error());
    }
    auto able = abilities(config.balance);
    if (!able) {
        return tl::unexpected(able.error());
    }
    add_abilities_of(*datapath, *able);
    if (auto kept = keeps_mask(config, *datapath); !kept) {
        return tl::unexpected(kept.error());
    }
    const auto buckets =
        *datapath ? (*datapath)->state.buckets : decltype(DatapathState::buckets){};
    auto considered = with_retired(*memory, config);
    if (!considered) {
        return tl::unexpected(considered.error());
    }
    considered->refused_xdp = known_refusals(*memory, seen.facts);
    auto desired = desired_state(config, seen.facts, *considered, buckets, *able, conditions);
    if (!desired) {
        return tl::unexpected(desired.error());
    }
    const auto match = compare_own_table(instance_, desired->state.netfilter);
    if (!match) {
        return tl::unexpected(match.error());
    }
    const auto actual = actual_state(seen, *std::move(datapath), *match,
                                     keys_of_interest(desired->state.sysctls, *considered));
    if (!actual) {
        return tl::unexpected(actual.error());
    }
    Plan plan = make_plan(*actual, *desired, *considered);
    // To a daemon a link that is switched off is no news.
    auto warnings = conditions.watched ? missing_features(*features_)
                                       : warnings_of(*features_, desired->uplinks);
    std::ranges::move(forwarding_warnings(config.balance.datapath, desired->forwarding),
                      std::back_inserter(warnings));
    NotationContext notation = notation_context(instance_, desired->state);
    const bool to_remember =
        differs(*memory, *desired, config.source) || memory->refused_xdp != considered->refused_xdp;
    return Preparation{.memory = *std::move(memory),
                       .desired = *std::move(desired),
                       .plan = std::move(plan),
                       .refused_xdp = considered->refused_xdp,
                       .to_remember = to_remember,
                       .source = config.source,
                       .notation = std::move(notation),
                       .warnings = std::move(warnings)};
}

Result<Observation> Gateway::observe_now() { return observe(route_socket_, instance_); }

tl::expected<Preparation, Refusal> Gateway::prepare(const Config& config, const std::string& file) {
    const auto seen = observe_now();
    if (!seen) {
        return tl::unexpected(Refusal{.mistakes = {}, .error = seen.error()});
    }
    return prepare(config, file, *seen, {});
}

tl::expected<Preparation, Refusal> Gateway::prepare(const Config& config, const std::string& file,
                                                    const Observation& seen,
                                                    const Conditions& conditions) {
    auto mistakes = check_system(config, seen.facts, file, conditions.watched);
    if (!mistakes.empty()) {
        return tl::unexpected(Refusal{.mistakes = std::move(mistakes), .error = {}});
    }
    auto preparation = compare_with(config, seen, conditions);
    if (!preparation) {
        return tl::unexpected(Refusal{.mistakes = {}, .error = preparation.error()});
    }
    return *std::move(preparation);
}

// Of devices that are as they were then.
std::vector<RefusedXdp> Gateway::known_refusals(const Memory& memory, const Facts& facts) const {
    std::vector<RefusedXdp> known = memory.refused_xdp;
    known.insert(known.end(), refused_xdp_.begin(), refused_xdp_.end());
    std::erase_if(known, [&](const RefusedXdp& refused) {
        return std::ranges::none_of(facts.interfaces, [&](const Interface& interface) {
            return interface.index == refused.ifindex && interface.mtu[0] == refused.mtu;
        });
    });
    return known;
}

void Gateway::note_refusal(const Applier& applier, const std::vector<Interface>& interfaces) {
    was_refused_xdp_ = false;
    if (!applier.refused_xdp()) {
        return;
    }
    const auto found =
        std::ranges::find(interfaces, applier.refused_xdp()->device, &Interface::name);
    if (found != interfaces.end()) {
        refused_xdp_.push_back({found->index, found->mtu[0], applier.refused_xdp()->words});
        was_refused_xdp_ = true;
    }
}

// As before the attempt: what was remembered then, or nothing.
void Gateway::forget_attempt(const Memory& former, bool mounted) {
    const bool first = former == Memory{};
    if (mounted) {
        (void)unmount_bpffs();
    }
    // The first error is the one to report, and what stays behind here is mended by the next `up`.
    (void)(first ? remove_memory(instance_) : write_memory(instance_, former));
}

Status Gateway::apply(const Preparation& preparation, const Progress& progress) {
    const auto here = network_namespace();
    const auto interfaces = read_interfaces(route_socket_);
    if (!here || !interfaces) {
        return tl::unexpected(here ? interfaces.error() : here.error());
    }
    Memory memory = journal(preparation.memory, preparation.desired, preparation.plan, *here);
    memory.applied = preparation.source;
    if (memory.rejected == preparation.source.text) {
        memory.rejected.clear(); // somebody has asked for it after all
    }
    if (const auto written = write_memory(instance_, memory); !written) {
        return written;
    }
    const ExpeditedRcu expedited;
    const auto mounted = mount_bpffs();
    if (!mounted) {
        forget_attempt(preparation.memory, false);
        return tl::unexpected(mounted.error());
    }
    const auto report = [&](const Action& action) { progress(action, preparation.notation); };
    const InterfaceNames names(*interfaces);
    Applier applier(instance_, route_socket_, names, datapath_, preparation.desired.state.datapath);
    auto applied = apply_or_undo(applier, preparation.plan, report);
    warnings_ = applier.warnings();
    note_refusal(applier, *interfaces);
    if (!applied) {
        forget_attempt(preparation.memory, *mounted);
        return applied;
    }
    memory.uplinks = remembered(preparation.desired.uplinks);
    memory.forwarding = preparation.desired.forwarding;
    memory.refused_xdp = preparation.refused_xdp;
    refused_xdp_.clear();
    // Everything is in place. If this fails the journal stays, which says all that `down` needs.
    (void)write_memory(instance_, memory);
    return {};
}

Result<bool> Gateway::remove(const Progress& progress) {
    const auto memory = memory_of_this_namespace();
    const auto seen = observe(route_socket_, instance_);
    auto datapath = datapath_.read();
    const auto match = compare(instance_, {});
    if (!memory || !seen || !datapath || !match) {
        return tl::unexpected(!memory     ? memory.error()
                              : !seen     ? seen.error()
                              : !datapath ? datapath.error()
                                          : match.error());
    }
    std::vector<std::string> keys;
    for (const auto& [key, value] : memory->sysctls) {
        keys.push_back(key);
    }
    const auto actual = actual_state(*seen, *std::move(datapath), *match, keys);
    if (!actual) {
        return tl::unexpected(actual.error());
    }
    const Plan plan = make_removal_plan(*actual, *memory);
    const ExpeditedRcu expedited;
    const InterfaceNames names(seen->facts.interfaces);
    const DatapathState nothing{};
    Applier applier(instance_, route_socket_, names, datapath_, nothing);
    const NotationContext notation{.instance = instance_,
                                   .table_names =
                                       actual->table_names.value_or(std::vector<TableName>{}),
                                   .uplinks = {},
                                   .table_names_file = table_names_path(instance_).string()};
    const auto report = [&](const Action& action) { progress(action, notation); };
    if (const auto removed = apply_all(applier, plan, report); !removed) {
        return tl::unexpected(removed.error());
    }
    if (memory->mounted_bpffs) {
        if (const auto unmounted = unmount_bpffs(); !unmounted) {
            return tl::unexpected(unmounted.error());
        }
    }
    const auto forgotten = remove_memory(instance_);
    return forgotten ? Result<bool>(!plan.empty()) : tl::unexpected(forgotten.error());
}

} // namespace linkbal
