// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_check_health.h"

#include <algorithm>
#include <span>

namespace linkbal {

namespace {

// One uplink's, and where its values are written: in [uplink.health] or else in [health].
class UplinkHealth {
  public:
    UplinkHealth(const Config& config, size_t index)
        : config_(&config), values_(&config.uplinks[index].health),
          own_(uplink_path(index, "health")) {}

    [[nodiscard]] const HealthConfig& values() const { return *values_; }
    [[nodiscard]] bool is_own(std::string_view key) const {
        return config_->positions.contains(fmt::format("{}.{}", own_, key));
    }
    [[nodiscard]] std::string path(std::string_view key) const {
        return fmt::format("{}.{}", is_own(key) ? own_ : "health", key);
    }
    [[nodiscard]] std::string target_path(size_t target) const {
        return fmt::format("{}[{}]", path("targets"), target);
    }

  private:
    const Config* config_;
    const HealthConfig* values_;
    std::string own_;
};

void check_presence(const UplinkHealth& health, Findings& findings) {
    if (health.values().probe != ProbeKind::none && health.values().targets.empty()) {
        findings.report(health.path("probe"),
                        "targets is missing: expected some, because only the probes \"icmp\" and "
                        "\"none\" need none");
    }
}

void check_duplicates(const UplinkHealth& health, Findings& findings) {
    const std::span targets(health.values().targets);
    for (size_t i = 0; i < targets.size(); ++i) {
        const auto earlier = std::ranges::find(targets.first(i), targets[i]);
        if (const auto index = static_cast<size_t>(earlier - targets.begin()); index < i) {
            findings.report(health.target_path(i),
                            "targets: expected each only once, found target number {} again",
                            index + 1);
        }
    }
}

void check_outside(const UplinkHealth& health, std::span<const Prefix> networks,
                   Findings& findings) {
    const auto& targets = health.values().targets;
    for (size_t i = 0; i < targets.size(); ++i) {
        for (const Prefix& network : networks) {
            if (targets[i].address && network.contains(*targets[i].address)) {
                findings.report(health.target_path(i),
                                "targets: expected an address outside of the LAN, found {}, which "
                                "is in {}",
                                targets[i].address->str(), network.str());
            }
        }
    }
}

// A gateway can count in both families, an address only in its own.
void check_quorum(const UplinkHealth& health, Findings& findings) {
    const auto& targets = health.values().targets;
    const auto of = [&](std::optional<Family> family) {
        return static_cast<size_t>(std::ranges::count_if(targets, [&](const ProbeTarget& target) {
            return family ? target.address && target.address->family() == *family : !target.address;
        }));
    };
    const size_t gateways = of(std::nullopt);
    for (const Family family : families) {
        const size_t count = of(family) + gateways;
        const bool judged = of(family) != 0 || (gateways != 0 && gateways == targets.size());
        if (judged && health.values().quorum > count) {
            const bool at_targets = !health.is_own("quorum") && health.is_own("targets");
            findings.report(health.path(at_targets ? "targets" : "quorum"),
                            "quorum: expected at most {}, the number of targets for {}, found {}",
                            count, family_name(family), health.values().quorum);
        }
    }
}

} // namespace

void check_health(const Config& config, Findings& findings) {
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        const UplinkHealth health(config, i);
        if (health.values().probe != ProbeKind::none) {
            check_presence(health, findings);
            check_duplicates(health, findings);
            check_quorum(health, findings);
        }
    }
    check_targets_outside(config, config.lan.networks, findings);
}

void check_targets_outside(const Config& config, std::span<const Prefix> networks,
                           Findings& findings) {
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        check_outside(UplinkHealth(config, i), networks, findings);
    }
}

} // namespace linkbal
