// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/link_state.h"

#include <algorithm>

#include <fmt/format.h>

namespace linkbal {

namespace {

// What makes a link unfit whatever the probes say.
std::optional<std::string> obstacle(const LinkObservation& seen) {
    auto of_interface = interface_obstacle(seen.device, seen.interface);
    return of_interface ? of_interface : seen.not_ready;
}

FamilyFitness judged(const std::optional<Judgement>& own, const std::optional<Judgement>& other,
                     const std::string& device, bool before) {
    const auto& judgement = own ? own : other;
    if (!judgement) {
        return {true, fmt::format("{} has carrier", device)};
    }
    const bool good =
        judgement->verdict == Verdict::unknown ? before : judgement->verdict == Verdict::good;
    return {good, judgement->reason.empty() ? "not judged yet" : judgement->reason};
}

// For links that are fit but have no way out.
std::string missing_path(const Uplink& uplink) {
    return fmt::format("{} has no address and gateway", uplink.device);
}

std::string both_reasons(const std::array<FamilyFitness, 2>& fitness, const Uplink& uplink) {
    std::string text;
    for (const Family family : families) {
        const auto index = static_cast<size_t>(family);
        if (uplink.paths.at(index)) {
            text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", family_name(family),
                                fitness.at(index).reason);
        }
    }
    return text;
}

std::string reason_of(const Uplink& uplink, const std::array<FamilyFitness, 2>& fitness) {
    if (!fitness[0].good && fitness[0].reason == fitness[1].reason) {
        return fitness[0].reason;
    }
    if (!uplink.has_any_path()) {
        return missing_path(uplink);
    }
    if (fitness[0].reason == fitness[1].reason || !uplink.paths[1]) {
        return fitness[0].reason;
    }
    return uplink.paths[0] ? both_reasons(fitness, uplink) : fitness[1].reason;
}

bool any(const std::array<bool, 2>& of_families) { return of_families[0] || of_families[1]; }

} // namespace

std::optional<std::string> interface_obstacle(const std::string& device,
                                              const Interface* interface) {
    if (interface == nullptr) {
        return fmt::format("interface {} is not there", device);
    }
    if (!interface->up) {
        return fmt::format("{} is switched off", device);
    }
    return interface->running ? std::nullopt
                              : std::optional(fmt::format("{} has no carrier", device));
}

std::array<FamilyFitness, 2> link_fitness(const LinkObservation& seen,
                                          const std::array<bool, 2>& before) {
    if (const auto reason = obstacle(seen)) {
        return {FamilyFitness{false, *reason}, FamilyFitness{false, *reason}};
    }
    const auto& [v4, v6] = seen.judgements;
    return {judged(v4, v6, seen.device, before[0]), judged(v6, v4, seen.device, before[1])};
}

LinkState link_state(const Uplink& uplink, const std::array<FamilyFitness, 2>& fitness) {
    const bool fit = (fitness[0].good && uplink.paths[0]) || (fitness[1].good && uplink.paths[1]);
    std::string reason = reason_of(uplink, fitness);
    if (uplink.retired) {
        return {UplinkState::draining, std::string(retired_words)};
    }
    if (!fit) {
        if (any(uplink.serves)) {
            reason += "; used nevertheless, because no link is good";
        }
        return {UplinkState::down, reason};
    }
    if (uplink.drained) {
        return {UplinkState::draining, std::string(drained_words)};
    }
    if (!any(uplink.serves)) {
        reason += fmt::format("; {}", standby_words);
    }
    return {UplinkState::up, reason};
}

} // namespace linkbal
