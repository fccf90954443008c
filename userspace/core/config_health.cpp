// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_health.h"

#include "core/config_target.h"
#include "core/config_values.h"

namespace linkbal {

namespace {

using namespace std::chrono_literals;

// What a probe has where the file names no targets.
std::vector<ProbeTarget> targets_without_words(ProbeKind kind) {
    return kind == ProbeKind::icmp ? std::vector{ProbeTarget{}} : std::vector<ProbeTarget>{};
}

void read_probe(TableReader& table, HealthDefaults& health) {
    std::optional<ProbeKind> kind;
    if (table.optional("probe", kind, probe_kind())) {
        health.probe_known = kind.has_value();
        health.values.probe = kind.value_or(health.values.probe);
    }
}

// Returns whether they are there, right or wrong.
bool read_own_targets(TableReader& table, HealthDefaults& health) {
    if (!health.probe_known || health.values.probe == ProbeKind::none) {
        std::vector<std::string> unjudged;
        if (!table.list("targets", unjudged, text())) {
            return false;
        }
        if (health.probe_known) {
            table.reject("targets", R"(expected none, because the probe is "none")");
        }
        return true;
    }
    std::vector<ProbeTarget> own;
    if (!table.list("targets", own, probe_target(health.values.probe))) {
        return false;
    }
    health.values.targets = std::move(own);
    return true;
}

void read_targets(TableReader& table, const HealthDefaults& inherited, HealthDefaults& health) {
    if (read_own_targets(table, health)) {
        health.targets_written = true;
        return;
    }
    const auto kind = health.values.probe;
    const auto inherited_kind = inherited.values.probe;
    if (!inherited.targets_written) {
        health.values.targets = targets_without_words(kind);
    } else if (kind == ProbeKind::none) {
        health.values.targets.clear();
    } else if (kind != inherited_kind && inherited.probe_known) {
        table.reject("probe",
                     fmt::format(R"(expected targets beside it, because those of [health] )"
                                 R"(are of the kind "{}", found only "{}")",
                                 probe_name(inherited_kind), probe_name(kind)));
    }
}

} // namespace

HealthDefaults read_health(TableReader& table, const HealthDefaults& inherited) {
    HealthDefaults health = inherited;
    HealthConfig& values = health.values;
    read_probe(table, health);
    read_targets(table, inherited, health);
    table.optional("interval", values.interval, duration(100ms, 1h));
    table.optional("timeout", values.timeout, duration(10ms, 1min));
    table.optional("down_after", values.down_after, integer(1, 100));
    table.optional("up_after", values.up_after, integer(1, 100));
    table.optional("quorum", values.quorum, integer(1, 100));
    table.optional("window", values.window, integer(5, 1000));
    table.optional("max_loss", values.max_loss, integer(1, 99));
    table.optional("max_latency", values.max_latency, duration(1ms, 1min));
    table.optional("max_jitter", values.max_jitter, duration(1ms, 1min));
    table.optional("query", values.query, domain_name());
    table.optional("status", values.status, integer(100, 599));
    table.optional("passive", values.passive, boolean());
    table.reject_unknown();
    return health;
}

} // namespace linkbal
