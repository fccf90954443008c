// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/refusals.h"

#include <algorithm>
#include <array>

#include "core/import/filter.h"

namespace linkbal {

namespace {

bool ranges_overlap(const std::vector<PortRange>& a, const std::vector<PortRange>& b) {
    return a.empty() || b.empty() || std::ranges::any_of(a, [&](const PortRange& one) {
               return std::ranges::any_of(b, [&](const PortRange& other) {
                   return one.first <= other.last && other.first <= one.last;
               });
           });
}

bool networks_overlap(const std::optional<Prefix>& a, const std::optional<Prefix>& b) {
    return !a || !b || (a->family() == b->family() && a->overlaps(*b));
}

bool words_overlap(const std::string& a, const std::string& b) {
    return a.empty() || b.empty() || a == b;
}

// A chain of the script's own may refuse, too.
bool can_refuse(const PacketRule& rule) {
    static constexpr std::array<std::string_view, 16> passing{
        "",     "ACCEPT", "LOG", "NFLOG", "ULOG", "MARK",   "CONNMARK",    "TOS",
        "DSCP", "TTL",    "HL",  "ECN",   "SET",  "TCPMSS", "TCPOPTSTRIP", "AUDIT"};
    return std::ranges::find(passing, rule.target) == passing.end();
}

bool only_invalid(const PacketRule& rule) {
    return rule.states == std::vector<std::string>{"INVALID"};
}

} // namespace

bool can_overlap(const PacketRule& a, const PacketRule& b) {
    const bool begins = !a.only_known() && !b.only_known() && !a.fragments && !b.fragments;
    if (a.family != b.family || !begins) {
        return false;
    }
    return a.negates || b.negates ||
           (words_overlap(a.protocol, b.protocol) && words_overlap(a.in, b.in) &&
            words_overlap(a.out, b.out) && networks_overlap(a.source, b.source) &&
            networks_overlap(a.destination, b.destination) && ranges_overlap(a.ports, b.ports));
}

std::vector<const PacketRule*> refusals_before(std::span<const PacketRule> rules, size_t accept,
                                               const ImportModel& model) {
    std::vector<const PacketRule*> found;
    for (const PacketRule& rule : rules.first(accept)) {
        if (rule.in_chain(rules[accept].chain) && can_refuse(rule) && !only_invalid(rule) &&
            !is_spoofing_rule(rule, model) && can_overlap(rule, rules[accept])) {
            found.push_back(&rule);
        }
    }
    return found;
}

} // namespace linkbal
