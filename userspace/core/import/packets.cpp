// SPDX-License-Identifier: GPL-2.0-or-later
// iptables and ip6tables of an imported script: the rules that stand when it has run.
#include <algorithm>

#include "core/import/read.h"

namespace linkbal {

namespace {

bool same_chain(const PacketRule& a, const PacketRule& b) {
    return a.family == b.family && a.table == b.table && a.chain == b.chain;
}

void insert_rule(PacketRule rule, uint32_t position, std::vector<PacketRule>& rules) {
    const auto place =
        std::ranges::find_if(rules, [&, seen = uint32_t{0}](const auto& other) mutable {
            return same_chain(other, rule) && ++seen >= position;
        });
    rules.insert(place, std::move(rule));
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

void remove_rule(const PacketRule& what, ScriptFacts& facts, ImportLedger& ledger) {
    const auto found = std::ranges::find_if(facts.packet_rules, [&](const PacketRule& rule) {
        return same_chain(rule, what) && rule.words == what.words;
    });
    if (found != facts.packet_rules.end()) {
        ledger.covered(found->command, "a later command removes it");
        facts.packet_rules.erase(found);
    }
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
        insert_rule(std::move(packet.rule), packet.position, facts.packet_rules);
        return;
    case PacketCommand::Kind::policy:
        set_policy(packet, command, facts, ledger);
        return;
    case PacketCommand::Kind::remove:
        remove_rule(packet.rule, facts, ledger);
        break;
    case PacketCommand::Kind::flush:
        flush(packet.rule, facts, ledger);
        break;
    case PacketCommand::Kind::other:
        if (packet.policy == "-N" || packet.policy == "-R" || packet.policy == "-E") {
            ledger.left(command, "chains of its own and replaced rules are not followed");
            return;
        }
        break;
    }
    ledger.covered(command, "linkbal has a table of its own, which it replaces as a whole");
}

} // namespace linkbal
