// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_firewall.h"

#include <algorithm>

#include "core/config_firewall_values.h"
#include "core/config_helpers.h"
#include "core/config_values.h"

namespace linkbal {

namespace {

ValueKind<Prefix> network_apart() {
    return each_once(network(), [](const Prefix& a, const Prefix& b) { return a.overlaps(b); });
}

// --- [firewall] -----------------------------------------------------------------------------------

void read_allow(TableReader& table, AllowConfig& allow) {
    std::vector<AllowedService> services;
    if (!table.list("service", services, each_once(service(), overlap_any))) {
        table.missing("service", "an array of services");
    }
    for (const AllowedService& named : services) {
        if (const auto* protocol = std::get_if<uint8_t>(&named)) {
            allow.protocols.push_back(*protocol);
        } else {
            const auto& ports = std::get<std::vector<ServicePorts>>(named);
            allow.services.insert(allow.services.end(), ports.begin(), ports.end());
        }
    }
    std::vector<Origin> from;
    if (table.list("from", from, each_once(origin(), same_origin))) {
        allow.from = combine(from);
    }
    table.optional("rate", allow.rate, connection_rate());
    table.reject_unknown();
}

void read_log(TableReader& table, FirewallConfig& firewall) {
    std::vector<FirewallLog> words;
    if (table.list_or_none("log", words, each_once(firewall_log()))) {
        firewall.log = 0;
        for (const FirewallLog word : words) {
            firewall.log |= static_cast<uint8_t>(word);
        }
    }
    table.optional("log_prefix", firewall.log_prefix, log_prefix());
}

void read_firewall(TableReader& table, FirewallConfig& firewall) {
    std::vector<Origin> ping;
    if (table.list_or_none("ping", ping, each_once(origin(), same_origin))) {
        firewall.ping = combine(ping);
    }
    table.list("dns_servers", firewall.dns_servers, each_once(dns_server()));
    table.list("expected_sources", firewall.expected_sources, network_apart());
    read_log(table, firewall);
    for (TableReader& allow : table.sections("allow")) {
        read_allow(allow, firewall.allow.emplace_back());
    }
    table.reject_unknown();
}

// --- [[forward]] ----------------------------------------------------------------------------------

void read_protocols(TableReader& table, ForwardConfig& forward) {
    std::vector<Transport> protocols;
    if (table.one_or_list("protocol", protocols, each_once(transport()))) {
        std::ranges::sort(protocols);
        forward.protocols = std::move(protocols);
    }
}

void read_target(TableReader& table, ForwardConfig& forward) {
    std::optional<ForwardTarget> target;
    table.required("to", target, forward_target());
    if (target) {
        forward.to = target->address;
        forward.to_port = target->port;
    }
}

void read_forward(TableReader& table, ForwardConfig& forward) {
    table.optional("name", forward.name, comment_text());
    read_protocols(table, forward);
    table.required("port", forward.port, port_range());
    read_target(table, forward);
    table.list("uplinks", forward.uplinks, each_once(text()));
    table.list("from", forward.from, network_apart());
    table.optional("hairpin", forward.hairpin, boolean());
    table.reject_unknown();
}

} // namespace

void read_filtering(TableReader& root, Config& config) {
    if (auto table = root.section("firewall")) {
        read_firewall(*table, config.firewall.emplace());
    }
    for (TableReader& table : root.sections("forward")) {
        read_forward(table, config.forwards.emplace_back());
    }
    if (auto table = root.section("helpers")) {
        read_helpers(*table, config.helpers);
    }
}

} // namespace linkbal
