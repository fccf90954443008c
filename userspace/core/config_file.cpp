// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/config_check.h"
#include "core/config_firewall.h"
#include "core/config_firewall_values.h"
#include "core/config_health.h"
#include "core/config_values.h"
#include "core/toml_reader.h"

namespace linkbal {

namespace {

using namespace std::chrono_literals;
using namespace std::string_view_literals;

constexpr std::array hash_modes{
    std::pair{"connection"sv, HashMode::connection},
    std::pair{"source"sv, HashMode::source},
    std::pair{"destination"sv, HashMode::destination},
    std::pair{"source-destination"sv, HashMode::source_destination},
};
constexpr std::array attach_modes{
    std::pair{"auto"sv, AttachMode::automatic},
    std::pair{"tcx"sv, AttachMode::tcx},
    std::pair{"clsact"sv, AttachMode::clsact},
};
constexpr std::array all_down_words{
    std::pair{"last"sv, AllDown::last},
    std::pair{"unreachable"sv, AllDown::unreachable},
};
constexpr std::array on_return_words{
    std::pair{"stay"sv, OnReturn::stay},
    std::pair{"move"sv, OnReturn::move},
};
constexpr std::array datapath_modes{
    std::pair{"auto"sv, DatapathMode::automatic},
    std::pair{"xdp"sv, DatapathMode::xdp},
    std::pair{"tc"sv, DatapathMode::tc},
    std::pair{"classify"sv, DatapathMode::classify},
};

constexpr auto no_rules = "this version has no rules yet, expected no such section";

void read_lan(TableReader& table, LanConfig& lan) {
    if (!table.list("interfaces", lan.interfaces, interface_name())) {
        table.missing("interfaces", "an array of interface names");
    }
    table.list("networks", lan.networks, network());
    table.reject_unknown();
}

void read_uplink(TableReader& table, const HealthDefaults& health, UplinkConfig& uplink) {
    table.required("name", uplink.name, table_name());
    table.required("interface", uplink.interface, interface_name());
    table.optional("gateway", uplink.gateway, gateway_address(Family::ipv4));
    table.optional("gateway6", uplink.gateway6, gateway_address(Family::ipv6));
    table.optional("table", uplink.table, table_number());
    table.optional("weight", uplink.weight, integer(1, 1000));
    table.optional("tier", uplink.tier, integer(1, 255));
    table.list("bring_up", uplink.bring_up, command_words());
    table.list("log_in", uplink.log_in, command_words());
    table.list("test", uplink.test, command_words());
    table.optional("command_timeout", uplink.command_timeout, duration(100ms, 1h));
    table.optional("mss", uplink.mss, segment_size());
    auto own_health = table.section("health");
    uplink.health = own_health ? read_health(*own_health, health).values : health.values;
    table.reject_unknown();
}

void read_balance(TableReader& table, BalanceConfig& balance) {
    table.optional("table", balance.table, table_number());
    table.optional("table_name", balance.table_name, table_name());
    table.optional("hash", balance.hash, choice<HashMode>(hash_modes));
    table.optional("datapath", balance.datapath, choice<DatapathMode>(datapath_modes));
    table.optional("cache", balance.cache, integer(1024, 16777216));
    table.optional("attach", balance.attach, choice<AttachMode>(attach_modes));
    table.optional("default_uplink", balance.default_uplink, text());
    table.optional("mark_mask", balance.mark_mask, mark_mask());
    table.optional("rule_priority", balance.rule_priority, integer(1, 32000));
    table.reject_unknown();
}

void read_failover(TableReader& table, FailoverConfig& failover) {
    table.optional("all_down", failover.all_down, choice<AllDown>(all_down_words));
    table.optional("on_return", failover.on_return, choice<OnReturn>(on_return_words));
    table.optional("reset", failover.reset, boolean());
    table.reject_unknown();
}

void read_hooks(TableReader& table, HooksConfig& hooks) {
    table.list("on_change", hooks.on_change, command_words());
    table.optional("timeout", hooks.timeout, duration(100ms, 1h));
    table.reject_unknown();
}

// [health] first, wherever it stands: the uplinks are laid over it.
void read_uplinks(TableReader& root, std::vector<UplinkConfig>& uplinks) {
    HealthDefaults health;
    if (auto table = root.section("health")) {
        health = read_health(*table, health);
    }
    for (TableReader& table : root.sections("uplink")) {
        read_uplink(table, health, uplinks.emplace_back());
    }
}

void read_root(TableReader& root, Config& config) {
    if (auto lan = root.section("lan")) {
        read_lan(*lan, config.lan);
    }
    read_uplinks(root, config.uplinks);
    if (auto balance = root.section("balance")) {
        read_balance(*balance, config.balance);
    }
    if (auto failover = root.section("failover")) {
        read_failover(*failover, config.failover);
    }
    if (auto hooks = root.section("hooks")) {
        read_hooks(*hooks, config.hooks);
    }
    read_filtering(root, config);
    root.not_yet("rule", no_rules);
    root.reject_unknown();
}

// Sections that are not there at all have no better place than the beginning of the file.
void require_sections(const toml::table& root, Reading& reading) {
    if (!root.contains("lan")) {
        reading.report({1, 1}, "no [lan] section: expected one with interfaces = [\"...\"]");
    }
    if (!root.contains("uplink")) {
        reading.report({1, 1}, "no [[uplink]] section: expected one for each internet link");
    }
}

ConfigResult read_config(const toml::table& root, Reading reading) {
    Config config;
    TableReader reader(root, "", {1, 1}, reading);
    require_sections(root, reading);
    read_root(reader, config);
    if (!reading.errors.empty()) {
        order_errors(reading.errors);
        return tl::unexpected(std::move(reading.errors));
    }
    config.positions = std::move(reading.positions);
    return config;
}

ConfigError syntax_error(const toml::parse_error& error, std::string file) {
    const auto begin = error.source().begin;
    return {std::move(file),
            {std::max(begin.line, 1U), std::max(begin.column, 1U)},
            std::string(error.description())};
}

} // namespace

ConfigResult parse_config(std::string_view text, std::string_view file_name) {
    try {
        return read_config(toml::parse(text), {std::string(file_name), {}, {}});
    } catch (const toml::parse_error& error) {
        return tl::unexpected(std::vector{syntax_error(error, std::string(file_name))});
    }
}

ConfigResult accept_config(std::string_view text, std::string_view file_name) {
    auto config = parse_config(text, file_name);
    if (config) {
        if (auto errors = check_config(*config, file_name); !errors.empty()) {
            return tl::unexpected(std::move(errors));
        }
    }
    return config;
}

ConfigResult load_config(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    file.peek(); // a directory can be opened, only reading it fails
    if (!file.is_open() || file.bad()) {
        return tl::unexpected(std::vector{ConfigError{
            path, {}, fmt::format("cannot read the configuration: {}", std::strerror(errno))}});
    }
    std::ostringstream text;
    text << file.rdbuf();
    return accept_config(text.str(), path);
}

} // namespace linkbal
