// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_check.h"

#include <algorithm>
#include <bit>
#include <map>
#include <span>

#include <linkbal/abi.h>

#include "core/config_check_firewall.h"
#include "core/config_check_health.h"
#include "core/config_findings.h"

namespace linkbal {

namespace {

// Values that only one may have, and who has them.
template <typename T>
class Claims {
  public:
    explicit Claims(Findings& findings) : findings_(&findings) {}

    void claim(const T& value, std::string_view owner, const std::string& path,
               std::string_view key) {
        const auto [entry, fresh] = owners_.try_emplace(value, owner);
        if (!fresh) {
            findings_->report(path, "{}: expected one that is not taken, found {}, which {} has",
                              key, value, entry->second);
        }
    }

  private:
    Findings* findings_;
    std::map<T, std::string> owners_;
};

std::string title(const UplinkConfig& uplink) { return fmt::format("uplink {}", uplink.name); }

void check_uplink_count(const Config& config, Findings& findings) {
    const bool firewall = config.firewall.has_value();
    const size_t capacity = mask_capacity(config.balance.mark_mask, firewall);
    if (config.uplinks.empty()) {
        findings.report("uplink", "no [[uplink]] section: expected one for each internet link");
    } else if (config.uplinks.size() > capacity) {
        findings.report(uplink_path(capacity),
                        "expected at most {} uplinks with mark_mask {:#010x}{}, found {}", capacity,
                        config.balance.mark_mask, firewall ? " and [firewall]" : "",
                        config.uplinks.size());
    }
}

void check_tables(const Config& config, Findings& findings) {
    Claims<uint32_t> tables(findings);
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        if (const auto& uplink = config.uplinks[i]; uplink.table) {
            tables.claim(*uplink.table, title(uplink), uplink_path(i, "table"), "table");
        }
    }
    if (config.balance.table) {
        tables.claim(*config.balance.table, "[balance]", "balance.table", "table");
    }
}

void check_names(const Config& config, Findings& findings) {
    Claims<std::string> names(findings);
    names.claim(config.balance.table_name, "the table of [balance]", "balance.table_name",
                "table_name");
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        const auto& uplink = config.uplinks[i];
        names.claim(uplink.name, fmt::format("uplink number {}", i + 1), uplink_path(i, "name"),
                    "name");
    }
}

void check_interfaces(const Config& config, Findings& findings) {
    Claims<std::string> interfaces(findings);
    for (size_t i = 0; i < config.lan.interfaces.size(); ++i) {
        interfaces.claim(config.lan.interfaces[i], "[lan]", fmt::format("lan.interfaces[{}]", i),
                         "interfaces");
    }
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        const auto& uplink = config.uplinks[i];
        interfaces.claim(uplink.interface, title(uplink), uplink_path(i, "interface"), "interface");
    }
}

void check_networks(const Config& config, Findings& findings) {
    const std::span networks(config.lan.networks);
    for (size_t i = 0; i < networks.size(); ++i) {
        for (const Prefix& earlier : networks.first(i)) {
            if (earlier.overlaps(networks[i])) {
                findings.report(
                    fmt::format("lan.networks[{}]", i),
                    "networks: expected networks that do not overlap, found {} beside {}",
                    networks[i].str(), earlier.str());
            }
        }
    }
}

void check_gateway(const std::optional<IpAddress>& gateway, const Config& config,
                   const std::string& path, std::string_view key, Findings& findings) {
    for (const Prefix& network : config.lan.networks) {
        if (gateway && network.contains(*gateway)) {
            findings.report(path,
                            "{}: expected an address outside of the LAN, found {}, which is in {}",
                            key, gateway->str(), network.str());
        }
    }
}

void check_gateways(const Config& config, Findings& findings) {
    for (size_t i = 0; i < config.uplinks.size(); ++i) {
        const auto& uplink = config.uplinks[i];
        check_gateway(uplink.gateway, config, uplink_path(i, "gateway"), "gateway", findings);
        check_gateway(uplink.gateway6, config, uplink_path(i, "gateway6"), "gateway6", findings);
    }
}

void check_default_uplink(const Config& config, Findings& findings) {
    const auto& name = config.balance.default_uplink;
    if (name &&
        std::ranges::find(config.uplinks, *name, &UplinkConfig::name) == config.uplinks.end()) {
        std::vector<std::string> names;
        std::ranges::transform(config.uplinks, std::back_inserter(names), &UplinkConfig::name);
        findings.report("balance.default_uplink",
                        "default_uplink: expected the name of an uplink ({}), found {:?}",
                        fmt::join(names, ", "), *name);
    }
}

} // namespace

uint32_t mask_capacity(uint32_t mark_mask, bool firewall) {
    const int bits = std::popcount(mark_mask);
    const uint32_t values = (1U << std::min(bits, 8)) - 1;
    return std::min(values - (firewall && bits <= 8 && values > 0 ? 1 : 0), LB_UPLINK_IDS - 1);
}

Position position_of(const Config& config, std::string_view path) {
    while (!path.empty()) {
        if (const auto entry = config.positions.find(std::string(path));
            entry != config.positions.end()) {
            return entry->second;
        }
        const size_t end = path.find_last_of(".[");
        path = path.substr(0, end == std::string_view::npos ? 0 : end);
    }
    return {1, 1};
}

std::vector<ConfigError> check_config(const Config& config, std::string_view file) {
    Findings findings(config, file);
    check_uplink_count(config, findings);
    check_tables(config, findings);
    check_names(config, findings);
    check_interfaces(config, findings);
    check_networks(config, findings);
    check_gateways(config, findings);
    check_default_uplink(config, findings);
    check_health(config, findings);
    check_firewall(config, findings);
    return std::move(findings).take();
}

} // namespace linkbal
