// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a script closes its gateway as [firewall] does, and what is then the same.
#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/import/filter.h"
#include "core/import/model.h"

namespace linkbal {

namespace {

// A rule at the end that takes what is left does what a policy does.
bool is_closing(const PacketRule& rule) {
    return rule.takes_all() && rule.in.empty() &&
           (rule.target == "DROP" || rule.target == "REJECT");
}

bool is_closed(const ScriptFacts& facts, std::string_view chain, Family family = Family::ipv4) {
    const auto policy = facts.policies.find(policy_key(family, chain));
    bool closed = policy != facts.policies.end() && policy->second.drops;
    for (const PacketRule& rule : facts.packet_rules) {
        if (rule.family == family && rule.in_chain(chain)) {
            closed = closed || is_closing(rule);
            if (rule.takes_all() && rule.in.empty() && rule.target == "ACCEPT") {
                return false;
            }
        }
    }
    return closed;
}

// Families of which INPUT refuses something; of another everything is let in.
std::vector<Family> families_closed(const ScriptFacts& facts) {
    std::vector<Family> closed;
    for (const Family family : families) {
        const bool refuses = std::ranges::any_of(facts.packet_rules, [&](const PacketRule& rule) {
            return rule.family == family && rule.in_chain("INPUT") && rule.target != "ACCEPT" &&
                   rule.target != "LOG";
        });
        if (refuses || is_closed(facts, "INPUT", family)) {
            closed.push_back(family);
        }
    }
    return closed;
}

// Rules behind one that takes all are never asked.
ScriptFacts reached(const ScriptFacts& facts, ImportLedger& ledger) {
    ScriptFacts left = facts;
    std::set<std::string> ended;
    std::erase_if(left.packet_rules, [&](const PacketRule& rule) {
        const std::string key = policy_key(rule.family, rule.chain);
        if (rule.table != "filter") {
            return false;
        }
        if (ended.contains(key)) {
            ledger.covered(rule.command, "an earlier rule takes all");
            return true;
        }
        const bool decides = is_closing(rule) || rule.target == "ACCEPT";
        if (decides && rule.takes_all() && rule.in.empty()) {
            ended.insert(key);
        }
        return false;
    });
    return left;
}

void judge_policies(const ScriptFacts& facts, bool closed, ImportLedger& ledger) {
    for (const auto& [key, policy] : facts.policies) {
        const bool output = key.ends_with(" OUTPUT");
        if (policy.drops && output) {
            ledger.left(policy.command, "linkbal lets the gateway itself send everything");
        } else if (policy.drops && !closed) {
            ledger.left(policy.command,
                        "[firewall] closes INPUT and FORWARD, of IPv4 and of IPv6; the "
                        "script leaves one of them open, so that it is not written");
        } else if (policy.drops) {
            ledger.taken(policy.command, "[firewall]");
        } else {
            ledger.covered(policy.command, "that is how it is");
        }
    }
}

// Without [firewall] what the script accepts is accepted; what it drops is not dropped.
void judge_open(const ScriptFacts& facts, ImportLedger& ledger) {
    for (const PacketRule& rule : facts.packet_rules) {
        if (rule.table != "filter" || rule.target == "TCPMSS") {
            continue;
        }
        if (rule.target == "ACCEPT" && rule.unknown.empty()) {
            ledger.covered(rule.command, "without [firewall] all is accepted");
        } else {
            ledger.left(rule.command,
                        "the script leaves INPUT or FORWARD open and [firewall] closes "
                        "both, so that it is not written");
        }
    }
}

bool any_rule(const ScriptFacts& facts, auto&& predicate) {
    return std::ranges::any_of(facts.packet_rules, predicate);
}

// What [firewall] does and the script does not: it would be a surprise.
void note_differences(const ScriptFacts& facts, ImportModel& model) {
    auto& notes = model.firewall_notes;
    if (!facts.unfollowed.empty()) {
        notes.push_back(
            fmt::format("PERHAPS WIDER THAN THE SCRIPT: commands that are not followed may "
                        "refuse some of what is let in here, in lines {}.",
                        fmt::join(facts.unfollowed, ", ")));
    }
    if (!is_closed(facts, "INPUT", Family::ipv6) || !is_closed(facts, "FORWARD", Family::ipv6)) {
        notes.emplace_back("IPv6 is closed like IPv4; the script leaves it open.");
    }
    const bool spoofed = any_rule(facts, [&](const auto& r) { return is_spoofing_rule(r, model); });
    notes.emplace_back(
        spoofed ? "Spoofed sources are dropped on every uplink, also on their way to the "
                  "LAN; an uplink's own subnet is not called spoofed."
                : "Spoofed sources are dropped on the uplinks.");
    for (const std::string_view chain : {"INPUT", "FORWARD"}) {
        if (!any_rule(facts, [&](const auto& r) {
                return r.in_chain(chain) && r.target == "DROP" && r.has_state("INVALID");
            })) {
            notes.push_back(fmt::format("Invalid packets are dropped in {}, too.", chain));
        }
    }
    if (!any_rule(facts, [](const auto& r) { return r.fragments; })) {
        notes.emplace_back(
            "Fragments from the uplinks that open something on the gateway are dropped.");
    }
    if (!any_rule(facts, [](const auto& r) {
            return r.in_chain("INPUT") && r.target == "ACCEPT" && asks_for_dhcp(r);
        })) {
        notes.emplace_back("DHCP requests of the LAN are accepted.");
    }
}

void judge_helper(const PacketRule& rule, ImportModel& model, ImportLedger& ledger) {
    static const std::vector<std::string> names{"amanda", "ftp",  "h323", "irc",  "netbios-ns",
                                                "pptp",   "sane", "sip",  "snmp", "tftp"};
    if (rule.target != "CT" || std::ranges::find(names, rule.helper) == names.end() ||
        rule.ports.size() > 1 || !rule.unknown.empty()) {
        ledger.left(rule.command, "linkbal has no table raw");
        return;
    }
    auto& ports = model.helpers[rule.helper];
    if (!rule.ports.empty() && std::ranges::find(ports, rule.ports[0].first) == ports.end()) {
        ports.push_back(rule.ports[0].first);
        std::ranges::sort(ports);
    }
    ledger.taken(rule.command, "[helpers]");
}

void judge_mss(const PacketRule& rule, ImportModel& model, ImportLedger& ledger) {
    auto& uplinks = model.config.uplinks;
    if (!rule.unknown.empty() || (!rule.clamp_mss && !rule.set_mss)) {
        ledger.left(rule.command, fmt::format("\"{}\" is not understood", rule.unknown));
    } else if (rule.clamp_mss) {
        ledger.covered(rule.command, "mss = \"auto\" is the default");
    } else if (*rule.set_mss < 536 || *rule.set_mss > 9000 ||
               (!rule.out.empty() && model.uplink_by(rule.out) == nullptr)) {
        ledger.left(rule.command, "an mss is from 536 to 9000 bytes, of an uplink");
    } else {
        for (UplinkConfig& uplink : uplinks) {
            if (rule.out.empty() || rule.out == uplink.interface) {
                uplink.mss = {MssConfig::Mode::fixed, static_cast<uint16_t>(*rule.set_mss)};
            }
        }
        ledger.taken(rule.command, "mss of the uplinks");
    }
}

// Chains that linkbal has nothing in.
void judge_other_chains(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger) {
    for (const PacketRule& rule : facts.packet_rules) {
        if (rule.target == "TCPMSS") {
            judge_mss(rule, model, ledger);
        } else if (rule.table == "raw") {
            judge_helper(rule, model, ledger);
        } else if (rule.in_chain("OUTPUT")) {
            rule.target == "ACCEPT"
                ? ledger.covered(rule.command, "the gateway itself may send everything")
                : ledger.left(rule.command, "linkbal lets the gateway itself send everything");
        } else if (rule.table == "filter" && rule.chain != "INPUT" && rule.chain != "FORWARD") {
            ledger.left(rule.command, "chains of its own are not followed");
        }
    }
}

} // namespace

void find_firewall(const ScriptFacts& all, ImportModel& model, ImportLedger& ledger) {
    const ScriptFacts facts = reached(all, ledger);
    model.helpers = facts.helpers;
    const bool closed = is_closed(facts, "INPUT") && is_closed(facts, "FORWARD");
    judge_policies(facts, closed, ledger);
    if (closed) {
        model.config.firewall.emplace();
        model.config.firewall->ping = {};
        model.config.firewall->log = 0;
        judge_input(facts, families_closed(facts), model, ledger);
        judge_forward_chain(facts, model, ledger);
        note_differences(facts, model);
    } else {
        judge_open(facts, ledger);
    }
    judge_other_chains(facts, model, ledger);
    judge_nat(facts, is_closed(facts, "FORWARD"), model, ledger);
}

} // namespace linkbal
