// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/filter.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/firewall_rules.h"
#include "core/import/words.h"

namespace linkbal {

namespace {

bool is_never_a_source(const Prefix& source) {
    return std::ranges::any_of(spoofed_sources(),
                               [&](const Prefix& network) { return network.contains(source); });
}

std::string trimmed_prefix(std::string text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == ':')) {
        text.pop_back();
    }
    return text;
}

FirewallLog log_of(const PacketRule& rule, const ImportModel& model) {
    return rule.fragments                  ? FirewallLog::fragments
           : is_spoofing_rule(rule, model) ? FirewallLog::spoofed
           : rule.has_state("INVALID")     ? FirewallLog::invalid
           : rule.chain == "INPUT"         ? FirewallLog::input
                                           : FirewallLog::forward;
}

void judge_log(const PacketRule& rule, ImportModel& model, ImportLedger& ledger) {
    const FirewallLog kind = log_of(rule, model);
    const bool whole_chain = kind == FirewallLog::input || kind == FirewallLog::forward;
    PacketRule unlimited = rule;
    unlimited.limit.clear();
    unlimited.limit_per_source = false;
    if (!rule.unknown.empty() || (whole_chain && !unlimited.takes_all())) {
        ledger.left(rule.command, "linkbal logs what it drops: fragments, spoofed, invalid, input, "
                                  "forward");
        return;
    }
    static constexpr std::array<std::string_view, 5> words{"fragment", "spoofed", "invalid",
                                                           "input", "forward"};
    const auto bit = static_cast<unsigned>(kind);
    size_t word = 0;
    while ((bit >> word) > 1) {
        ++word;
    }
    model.config.firewall->log |= static_cast<uint8_t>(kind);
    ledger.differs(
        rule.command,
        fmt::format("logged, in lines that begin with \"linkbal {}: \"{}", words[word],
                    rule.log_prefix.empty()
                        ? ""
                        : fmt::format(", not with \"{}\"", trimmed_prefix(rule.log_prefix))));
}

} // namespace

bool is_spoofing_rule(const PacketRule& rule, const ImportModel& model) {
    return model.uplink_by(rule.in) != nullptr && rule.source && rule.protocol.empty() &&
           rule.unknown.empty() &&
           (rule.target == "DROP" || rule.target == "LOG" || rule.target == "REJECT") &&
           (is_never_a_source(*rule.source) || model.is_lan(*rule.source));
}

bool is_ping(std::string_view type) {
    return type.empty() || type == "8" || type == "128" || type == "echo-request" || type == "any";
}

bool asks_for_dhcp(const PacketRule& rule) {
    static constexpr PortRange server{67, 67};
    static constexpr PortRange both{67, 68};
    static constexpr PortRange server6{547, 547};
    return rule.protocol == "udp" && rule.ports.size() == 1 &&
           (rule.ports[0] == server || rule.ports[0] == both || rule.ports[0] == server6);
}

bool judge_common(const PacketRule& rule, ImportModel& model, ImportLedger& ledger) {
    const bool drops = rule.target == "DROP" || rule.target == "REJECT";
    if (rule.target == "LOG" || rule.target == "NFLOG" || rule.target == "ULOG") {
        judge_log(rule, model, ledger);
    } else if (rule.target != "ACCEPT" && !drops) {
        ledger.left(rule.command, "chains of its own and other targets are not followed");
    } else if (!rule.unknown.empty()) {
        ledger.left(rule.command, fmt::format("\"{}\" is not understood", rule.unknown));
    } else if (rule.only_known() && !drops) {
        ledger.covered(rule.command, "answers and what belongs to a connection are accepted");
    } else if (drops && rule.later) {
        ledger.differs(rule.command,
                       "such packets begin no connection; not all of them are dropped");
    } else if (drops && rule.only_invalid()) {
        ledger.covered(rule.command, "invalid packets are dropped");
    } else if (drops && rule.fragments && rule.chain == "INPUT" &&
               model.uplink_by(rule.in) != nullptr) {
        ledger.covered(rule.command, "fragments from the uplinks for the gateway are dropped");
    } else if (drops && is_spoofing_rule(rule, model)) {
        ledger.covered(rule.command, "spoofed sources are dropped on the uplinks");
    } else if (drops && rule.takes_all() && rule.in.empty()) {
        rule.target == "REJECT"
            ? ledger.differs(rule.command, "what nothing accepts is dropped, not rejected")
            : ledger.covered(rule.command, "what nothing accepts is dropped");
    } else {
        return false;
    }
    return true;
}

} // namespace linkbal
