// SPDX-License-Identifier: GPL-2.0-or-later
// iptables and ip6tables of an imported script: the rules that stand when it has run.
#include <algorithm>

#include "core/import/read.h"

namespace linkbal {

namespace {

bool same_chain(const PacketRule& a, const PacketRule& b) {
    return a.family == b.family && a.table == b.table && a.chain == b.chain;
}

using RulePlace = std::vector<PacketRule>::iterator;

// The place of a chain's rule, from 1.
RulePlace place_of(const PacketRule& rule, uint32_t position, std::vector<PacketRule>& rules) {
    return std::ranges::find_if(rules, [&, seen = uint32_t{0}](const auto& other) mutable {
        return same_chain(other, rule) && ++seen >= position;
    });
}

void flush(const PacketRule& what, ScriptFacts& facts, ImportLedger& ledger) {
    std::erase_if(facts.packet_rules, [&](const PacketRule& rule) {
        const bool gone = rule.family == what.family && rule.table == what.table &&
                          (what.chain.empty() || rule.chain == what.chain);
        if (gone) {
            ledger.covered(rule.command, "a later command removes it");
        }
        return gone;
    });
}

// By its number or as it was written.
void remove_rule(const PacketCommand& packet, size_t command, ScriptFacts& facts,
                 ImportLedger& ledger) {
    auto& rules = facts.packet_rules;
    const auto is_meant = [&](const PacketRule& rule) { return rule.same_as(packet.rule); };
    const auto found = packet.position ? place_of(packet.rule, *packet.position, rules)
                                       : std::ranges::find_if(rules, is_meant);
    const bool any = std::ranges::any_of(
        rules, [&](const PacketRule& rule) { return same_chain(rule, packet.rule); });
    if (found == rules.end() && any) {
        ledger.left(command, "the chain has no such rule");
        return;
    }
    if (found != rules.end()) {
        ledger.covered(found->command, "a later command removes it");
        rules.erase(found);
    }
    ledger.covered(command, "linkbal has a table of its own, which it replaces as a whole");
}

void replace_rule(PacketRule rule, uint32_t position, ScriptFacts& facts, ImportLedger& ledger) {
    const auto found = place_of(rule, position, facts.packet_rules);
    if (found == facts.packet_rules.end()) {
        ledger.left(rule.command, "the chain has no such rule");
        return;
    }
    ledger.covered(found->command, "a later command replaces it");
    *found = std::move(rule);
}

void set_policy(const PacketCommand& packet, size_t command, ScriptFacts& facts,
                ImportLedger& ledger) {
    const PacketRule& rule = packet.rule;
    if (rule.table != "filter") {
        packet.policy == "ACCEPT"
            ? ledger.covered(command, "that is how it is")
            : ledger.left(command, "only chains of the table filter can be closed");
        return;
    }
    const std::string key = policy_key(rule.family, rule.chain);
    if (const auto former = facts.policies.find(key); former != facts.policies.end()) {
        ledger.covered(former->second.command, "a later command replaces it");
    }
    facts.policies[key] = {command, packet.policy != "ACCEPT"};
}

} // namespace

void read_packet_command(CommandWordSpan words, Family family, size_t command, ScriptFacts& facts,
                         ImportLedger& ledger) {
    PacketCommand packet = packet_command(words, family);
    packet.rule.command = command;
    switch (packet.kind) {
    case PacketCommand::Kind::append:
        facts.packet_rules.push_back(std::move(packet.rule));
        return;
    case PacketCommand::Kind::insert:
        facts.packet_rules.insert(
            place_of(packet.rule, packet.position.value_or(1), facts.packet_rules), packet.rule);
        return;
    case PacketCommand::Kind::replace:
        replace_rule(std::move(packet.rule), packet.position.value_or(1), facts, ledger);
        return;
    case PacketCommand::Kind::policy:
        set_policy(packet, command, facts, ledger);
        return;
    case PacketCommand::Kind::remove:
        remove_rule(packet, command, facts, ledger);
        return;
    case PacketCommand::Kind::flush:
        flush(packet.rule, facts, ledger);
        break;
    case PacketCommand::Kind::other:
        if (packet.name == "-N" || packet.name == "-E") {
            ledger.left(command, "chains of its own are not followed");
            return;
        }
        break;
    }
    ledger.covered(command, "linkbal has a table of its own, which it replaces as a whole");
}

} // namespace linkbal
