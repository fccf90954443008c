// SPDX-License-Identifier: GPL-2.0-or-later
// FORWARD of an imported script: what the LAN may do in the internet.
#include <algorithm>

#include <fmt/format.h>

#include "core/config_values.h"
#include "core/import/filter.h"
#include "core/import/grants.h"
#include "core/import/sides.h"

namespace linkbal {

namespace {

constexpr size_t never = SIZE_MAX;

class ForwardJudge {
  public:
    ForwardJudge(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger)
        : rules_(facts.packet_rules), model_(model), ledger_(ledger) {}

    void run() {
        open_ = first([&](const PacketRule& rule) { return opens_all(rule); });
        dns_closed_ = first([&](const PacketRule& rule) {
            return is_dns(rule) && (!rule.source || model_.is_lan(*rule.source)) &&
                   (rule.target == "DROP" || rule.target == "REJECT");
        });
        if (dns_closed_ > open_) {
            dns_closed_ = never;
        }
        for (size_t i = 0; i < rules_.size(); ++i) {
            if (rules_[i].in_chain("FORWARD") && rules_[i].target != "TCPMSS" &&
                !judge_common(rules_[i], model_, ledger_)) {
                rules_[i].target == "ACCEPT" ? judge_accept(rules_[i], i)
                                             : judge_drop(rules_[i], i);
            }
        }
        if (open_ == never) {
            model_.firewall_notes.emplace_back("WIDER THAN THE SCRIPT: the LAN gets everywhere in "
                                               "the internet; no rule of the script "
                                               "accepts all that it sends.");
        }
        note_interfaces();
    }

  private:
    // To linkbal the LAN is one, whose hosts reach each other.
    void note_interfaces() {
        const auto& interfaces = model_.config.lan.interfaces;
        if (interfaces.size() < 2) {
            return;
        }
        for (const std::string& device : interfaces) {
            const size_t own = first([&](const PacketRule& rule) {
                return opens_all(rule) && rule.out.empty() &&
                       (rule.in.empty() || rule.in == device);
            });
            if (own == never) {
                model_.firewall_notes.push_back(
                    fmt::format("WIDER THAN THE SCRIPT: hosts behind {} reach those behind the "
                                "other interfaces of the LAN, and everything in the internet.",
                                device));
            }
        }
    }

    [[nodiscard]] size_t first(auto&& predicate) const {
        for (size_t i = 0; i < rules_.size(); ++i) {
            if (rules_[i].in_chain("FORWARD") && predicate(rules_[i])) {
                return i;
            }
        }
        return never;
    }

    [[nodiscard]] bool is_from_lan(const PacketRule& rule) const {
        return rule.source ? is_in_lan(*rule.source, model_) : model_.is_lan(rule.in);
    }
    [[nodiscard]] bool is_to_lan(const PacketRule& rule) const {
        return (rule.destination && is_in_lan(*rule.destination, model_)) ||
               model_.is_lan(rule.out);
    }

    // Everything that the LAN begins, to wherever an uplink leads.
    [[nodiscard]] bool opens_all(const PacketRule& rule) const {
        const bool whole = rule.source ? model_.is_lan(*rule.source) : model_.is_lan(rule.in);
        return rule.target == "ACCEPT" && whole && rule.opens() && rule.asks_for_ends() &&
               !rule.syn && !rule.destination && rule.protocol.empty() &&
               (rule.out.empty() || model_.uplink_by(rule.out) != nullptr);
    }

    [[nodiscard]] bool is_dns(const PacketRule& rule) const {
        return (is_from_lan(rule) || (!rule.source && rule.in.empty())) && rule.opens() &&
               rule.asks_for_ends() && rule.source_ports.empty() &&
               (rule.protocol == "udp" || rule.protocol == "tcp") &&
               rule.ports == std::vector<PortRange>{{53, 53}};
    }

    void judge_accept(const PacketRule& rule, size_t index) {
        if (opens_all(rule)) {
            ledger_.covered(rule.command, "the LAN gets everywhere");
        } else if (index > open_ && is_from_lan(rule)) {
            ledger_.covered(rule.command, "an earlier rule has accepted it");
        } else if (is_from_lan(rule) && is_to_lan(rule)) {
            ledger_.covered(rule.command, "hosts of the LAN reach each other");
        } else if (is_to_lan(rule) && !rule.source_ports.empty() && rule.ports.empty()) {
            ledger_.covered(rule.command, "answers are accepted");
        } else if (index < dns_closed_ && dns_closed_ != never && is_dns(rule) &&
                   rule.destination) {
            judge_dns_server(rule);
        } else if (is_from_lan(rule)) {
            ledger_.left(rule.command,
                         "[firewall] lets the LAN out to everywhere, whatever it asks for");
        } else if (!is_forwarded(index)) {
            ledger_.left(rule.command, "by uplinks nothing comes in but what a [[forward]] says");
        }
    }

    // judge_nat() knows those.
    [[nodiscard]] bool is_forwarded(size_t index) {
        const bool known = std::ranges::any_of(rules_, [&](const PacketRule& other) {
            const auto* by = model_.uplink_by(other.in);
            const auto uplinks = by == nullptr ? std::vector<std::string>{} : std::vector{by->name};
            return other.in_chain("PREROUTING", "nat") && other.target == "DNAT" &&
                   grant_of(rules_, index, other, uplinks, model_);
        });
        if (known) {
            ledger_.covered(rules_[index].command,
                            "a [[forward]] accepts by itself what it forwards");
        }
        return known;
    }

    void judge_dns_server(const PacketRule& rule) {
        if (rule.destination->length() != rule.destination->address().bits() ||
            !is_unicast(rule.destination->address())) {
            ledger_.left(rule.command, "dns_servers are addresses of hosts");
            return;
        }
        auto& servers = model_.config.firewall->dns_servers;
        if (std::ranges::find(servers, rule.destination->address()) == servers.end()) {
            servers.push_back(rule.destination->address());
        }
        ledger_.taken(rule.command, "dns_servers");
    }

    void judge_drop(const PacketRule& rule, size_t index) {
        const bool from_lan = is_from_lan(rule) || (!rule.source && rule.in.empty());
        const bool named = !model_.config.firewall->dns_servers.empty();
        if (named &&
            (index == dns_closed_ || (is_dns(rule) && dns_closed_ != never && index < open_))) {
            ledger_.taken(rule.command, "dns_servers");
        } else if (index > open_ && is_from_lan(rule)) {
            ledger_.covered(rule.command, "an earlier rule has accepted it");
        } else if (from_lan && index < open_) {
            ledger_.left(rule.command,
                         "[firewall] lets the LAN out to everywhere, whatever it asks for");
        } else {
            ledger_.covered(rule.command, "what nothing accepts is dropped");
        }
    }

    std::span<const PacketRule> rules_;
    ImportModel& model_;
    ImportLedger& ledger_;
    size_t open_ = never;       // the first rule that lets the LAN out
    size_t dns_closed_ = never; // one before it that takes the rest of its DNS
};

} // namespace

void judge_forward_chain(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger) {
    ForwardJudge(facts, model, ledger).run();
}

} // namespace linkbal
