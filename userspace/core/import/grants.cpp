// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/grants.h"

#include <algorithm>

#include "core/import/refusals.h"
#include "core/import/words.h"

namespace linkbal {

namespace {

bool covers(const std::vector<PortRange>& ports, const PortRange& asked) {
    return ports.empty() || std::ranges::any_of(ports, [&](const PortRange& range) {
               return range.first <= asked.first && asked.last <= range.last;
           });
}

bool covers(const std::vector<PortRange>& ports, const std::vector<PortRange>& asked) {
    return std::ranges::all_of(asked, [&](const PortRange& range) { return covers(ports, range); });
}

// To this host, whoever it comes from.
bool lets_reach(const PacketRule& accept, const PacketRule& dnat, const ImportModel& model) {
    const auto to = destination_of(dnat.to).address;
    const auto ports = inside_ports(dnat);
    // By which of several interfaces a host is reached the script need not say.
    const bool out =
        accept.out.empty() || (model.is_lan(accept.out) && model.config.lan.interfaces.size() == 1);
    // The LAN's way out is no way in.
    const bool inward = accept.destination || !accept.ports.empty() || accept.has_state("DNAT") ||
                        !accept.out.empty();
    return to && ports && out && inward && accept.family == dnat.family && accept.asks_for_ends() &&
           (accept.opens() || accept.has_state("DNAT")) &&
           (!accept.destination || accept.destination->contains(*to)) &&
           (accept.protocol.empty() || accept.protocol == dnat.protocol) &&
           covers(accept.ports, *ports) && accept.source_ports.empty();
}

// Each rule's uplinks and networks are a rectangle; several are one if they have a side in common.
std::optional<Grant> united(const std::vector<Grant>& grants, const Grant& whole) {
    Grant all;
    bool same_uplinks = true;
    bool same_sources = true;
    for (const Grant& grant : grants) {
        if (grant.uplinks == whole.uplinks && grant.from == whole.from) {
            return whole;
        }
        same_uplinks = same_uplinks && grant.uplinks == grants.front().uplinks;
        same_sources = same_sources && grant.from == grants.front().from;
        all.uplinks.insert(all.uplinks.end(), grant.uplinks.begin(), grant.uplinks.end());
        all.from.insert(all.from.end(), grant.from.begin(), grant.from.end());
    }
    if (grants.empty() || (!same_uplinks && !same_sources)) {
        return std::nullopt;
    }
    const auto is_any = [](const auto& side) { return side.empty(); };
    const bool any_uplink = std::ranges::any_of(grants, is_any, &Grant::uplinks);
    const bool anybody = std::ranges::any_of(grants, is_any, &Grant::from);
    std::ranges::sort(all.uplinks);
    const auto again = std::ranges::unique(all.uplinks);
    all.uplinks.erase(again.begin(), again.end());
    return Grant{any_uplink ? std::vector<std::string>{} : all.uplinks,
                 anybody        ? std::vector<Prefix>{}
                 : same_sources ? grants.front().from
                                : all.from};
}

} // namespace

Destination destination_of(std::string_view text) {
    const bool brackets = text.starts_with('[');
    const size_t end = brackets ? text.find(']') : text.find(':');
    const auto plain = IpAddress::parse(text);
    if (plain || end == std::string_view::npos) {
        return {plain, {}};
    }
    const auto address = text.substr(brackets ? 1 : 0, end - (brackets ? 1 : 0));
    const auto rest = text.substr(end + (brackets ? 1 : 0));
    const auto port = rest.starts_with(':') ? port_word(rest.substr(1)) : std::nullopt;
    return rest.empty() || port ? Destination{IpAddress::parse(address), port} : Destination{};
}

std::optional<std::vector<PortRange>> inside_ports(const PacketRule& dnat) {
    const auto port = destination_of(dnat.to).port;
    if (!port) {
        return dnat.ports;
    }
    const bool as_many = std::ranges::all_of(dnat.ports, [&](const PortRange& outside) {
        return outside.last - outside.first == port->last - port->first;
    });
    return as_many && port->first > 0 ? std::optional(std::vector(dnat.ports.size(), *port))
                                      : std::nullopt;
}

Grant whole_grant(const PacketRule& dnat, const std::vector<std::string>& uplinks) {
    return {uplinks, dnat.source ? std::vector{*dnat.source} : std::vector<Prefix>{}};
}

bool is_refused(std::span<const PacketRule> rules, size_t end, const PacketRule* accept,
                const PacketRule& dnat, const ImportModel& model) {
    const auto& lan = model.config.lan;
    const auto to = destination_of(dnat.to).address;
    PacketRule forwarded = dnat; // as FORWARD sees it
    forwarded.table = "filter";
    forwarded.chain = "FORWARD";
    forwarded.destination = to ? std::optional(Prefix(*to, to->bits())) : std::nullopt;
    forwarded.ports = inside_ports(dnat).value_or(dnat.ports);
    forwarded.out = lan.interfaces.size() == 1 ? lan.interfaces.front() : "";
    return std::ranges::any_of(
        refusals_of(forwarded, rules, end, model), [&](const PacketRule* refusal) {
            return !model.is_lan(refusal->in) && (!accept || can_overlap(*refusal, *accept));
        });
}

std::optional<Grant> grant_of(std::span<const PacketRule> rules, size_t number,
                              const PacketRule& dnat, const std::vector<std::string>& uplinks,
                              const ImportModel& model) {
    const PacketRule& accept = rules[number];
    Grant grant = whole_grant(dnat, uplinks);
    const UplinkConfig* by = model.uplink_by(accept.in);
    const bool other = !accept.in.empty() &&
                       (by == nullptr || (!uplinks.empty() &&
                                          std::ranges::find(uplinks, by->name) == uplinks.end()));
    if (other || !lets_reach(accept, dnat, model) ||
        is_refused(rules, number, &accept, dnat, model)) {
        return std::nullopt;
    }
    if (by != nullptr) {
        grant.uplinks = {by->name};
    }
    if (accept.source && (!dnat.source || dnat.source->contains(*accept.source))) {
        grant.from = {*accept.source};
    } else if (accept.source && !accept.source->contains(*dnat.source)) {
        return std::nullopt;
    }
    return grant;
}

std::optional<Grant> forward_grant(const ScriptFacts& facts, const PacketRule& dnat,
                                   const std::vector<std::string>& uplinks,
                                   const ImportModel& model) {
    std::vector<Grant> grants;
    const std::span<const PacketRule> rules = facts.packet_rules;
    for (size_t i = 0; i < rules.size(); ++i) {
        if (!rules[i].in_chain("FORWARD") || rules[i].target != "ACCEPT") {
            continue;
        }
        if (auto grant = grant_of(rules, i, dnat, uplinks, model)) {
            grants.push_back(std::move(*grant));
        }
    }
    return united(grants, whole_grant(dnat, uplinks));
}

} // namespace linkbal
