// SPDX-License-Identifier: GPL-2.0-or-later
// The table nat of an imported script: masquerading and port forwards.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "core/import/filter.h"
#include "core/import/grants.h"
#include "core/import/refusals.h"
#include "core/services.h"

namespace linkbal {

namespace {

class NatJudge {
  public:
    // `closed`: FORWARD forwards what its rules accept, and no more.
    NatJudge(const ScriptFacts& facts, bool closed, ImportModel& model, ImportLedger& ledger)
        : facts_(facts), closed_(closed), model_(model), ledger_(ledger) {}

    void run() {
        for (const PacketRule& rule : facts_.packet_rules) {
            if (rule.table == "nat") {
                judge(rule);
                past_.push_back(&rule);
            }
        }
        for (ForwardConfig& forward : model_.config.forwards) {
            if (forward.uplinks.size() == model_.config.uplinks.size()) {
                forward.uplinks.clear();
            }
        }
        if (!masquerades_) {
            model_.balance_notes.emplace_back(
                "linkbal masquerades what the LAN sends by the uplinks; the "
                "script does not.");
        }
    }

  private:
    void judge(const PacketRule& rule) {
        if (!rule.unknown.empty()) {
            ledger_.left(rule.command, fmt::format("\"{}\" is not understood", rule.unknown));
        } else if (rule.chain == "POSTROUTING") {
            judge_source(rule);
        } else if (rule.chain == "PREROUTING" && rule.target == "DNAT") {
            judge_destination(rule);
        } else if (rule.target == "REDIRECT") {
            ledger_.left(rule.command, "linkbal sends nothing to a proxy of the gateway's own");
        } else {
            ledger_.left(rule.command,
                         "linkbal translates only sources of the LAN and what is forwarded "
                         "to it");
        }
    }

    void judge_source(const PacketRule& rule) {
        const bool uplink = rule.out.empty() || model_.uplink_by(rule.out) != nullptr;
        const bool whole = !rule.destination && rule.protocol.empty() &&
                           (!rule.source || model_.is_lan(*rule.source));
        const auto to = IpAddress::parse(rule.to);
        if (rule.target != "MASQUERADE" && rule.target != "SNAT") {
            ledger_.left(rule.command, "linkbal masquerades all that the LAN sends by the uplinks");
        } else if (!uplink || !whole) {
            ledger_.left(rule.command,
                         "linkbal masquerades the LAN on its uplinks and nothing else");
        } else if (rule.target == "SNAT" && (!to || !is_own(*to))) {
            ledger_.left(
                rule.command,
                "linkbal masquerades with the link's own address, and the script does not say "
                "that it is this one");
            masquerades_ = true;
        } else {
            ledger_.covered(rule.command, "linkbal masquerades the LAN on every uplink");
            masquerades_ = true;
        }
    }

    [[nodiscard]] bool is_own(const IpAddress& address) const {
        const Prefix host(address, address.bits());
        return std::ranges::any_of(facts_.addresses,
                                   [&](const auto& a) { return a.address == address; }) ||
               std::ranges::any_of(facts_.routes,
                                   [&](const auto& r) { return r.source == address; }) ||
               std::ranges::any_of(facts_.rules, [&](const auto& r) { return r.from == host; });
    }

    void judge_destination(const PacketRule& rule) {
        const auto to = destination_of(rule.to).address;
        const auto uplinks = uplinks_of(rule);
        const auto& networks = model_.config.lan.networks;
        const bool in_lan =
            to && (networks.empty() ||
                   std::ranges::any_of(networks, [&](const auto& n) { return n.contains(*to); }));
        if (!rule.opens() || !rule.asks_for_ends()) {
            ledger_.left(rule.command, "a [[forward]] asks for no states, marks, fragments or "
                                       "shares of the packets");
        } else if (!to || (rule.protocol != "tcp" && rule.protocol != "udp") ||
                   rule.ports.empty()) {
            ledger_.left(rule.command, "a [[forward]] is of ports of TCP or UDP, to one address");
        } else if (!in_lan) {
            ledger_.left(rule.command, fmt::format("{} is not in the LAN", to->str()));
        } else if (!uplinks || !rule.source_ports.empty()) {
            ledger_.left(rule.command,
                         "a [[forward]] is for what comes by uplinks to their addresses");
        } else {
            add_forwards(rule, *uplinks);
        }
    }

    // Empty: all; none: it is for something else.
    [[nodiscard]] std::optional<std::vector<std::string>> uplinks_of(const PacketRule& rule) const {
        if (rule.in.empty() && !rule.destination) {
            return std::vector<std::string>{};
        }
        const UplinkConfig* by = model_.uplink_by(rule.in);
        const UplinkConfig* of = rule.destination ? uplink_with(*rule.destination) : by;
        const bool agree = of != nullptr && (rule.in.empty() || by == of);
        return agree ? std::optional(std::vector{of->name}) : std::nullopt;
    }
    [[nodiscard]] const UplinkConfig* uplink_with(const Prefix& address) const {
        for (const ScriptRoute& route : facts_.routes) {
            if (route.source && address.contains(*route.source) &&
                !route.hops.front().device.empty()) {
                return model_.uplink_by(route.hops.front().device);
            }
        }
        for (const ScriptAddress& own : facts_.addresses) {
            if (address.contains(own.address)) {
                return model_.uplink_by(own.device);
            }
        }
        return nullptr;
    }

    void add_forwards(const PacketRule& rule, const std::vector<std::string>& uplinks) {
        const auto inside = inside_ports(rule);
        const auto grant = grant_for(rule, uplinks);
        if (!inside) {
            ledger_.left(rule.command, "there are not as many ports");
            return;
        }
        if (!grant) {
            ledger_.left(rule.command,
                         "no rule of FORWARD accepts what it would forward, or an earlier one "
                         "refuses some of it");
            return;
        }
        if (is_taken(rule)) {
            ledger_.left(rule.command, "an earlier rule of PREROUTING takes some of it");
            return;
        }
        std::vector<ForwardConfig> forwards;
        for (size_t i = 0; i < rule.ports.size(); ++i) {
            const uint16_t first = inside->at(i).first;
            ForwardConfig& forward = forwards.emplace_back();
            forward.protocols = {rule.protocol == "tcp" ? Transport::tcp : Transport::udp};
            forward.port = rule.ports[i];
            forward.to = destination_of(rule.to).address;
            forward.to_port = first != rule.ports[i].first ? std::optional(first) : std::nullopt;
            forward.uplinks = grant->uplinks;
            forward.from = grant->from;
            forward.hairpin = rule.in.empty() && grant->uplinks == uplinks;
        }
        if (const auto reason = obstacle(forwards); !reason.empty()) {
            ledger_.left(rule.command, reason);
            return;
        }
        std::ranges::for_each(forwards, [&](const ForwardConfig& forward) { add(forward); });
        written_.insert(&rule);
        rule.in.empty() && !rule.destination
            ? ledger_.differs(rule.command, "[[forward]]; only of what is for an uplink's address")
            : ledger_.taken(rule.command, "[[forward]]");
    }

    [[nodiscard]] std::optional<Grant> grant_for(const PacketRule& rule,
                                                 const std::vector<std::string>& uplinks) const {
        const auto& rules = facts_.packet_rules;
        if (closed_) {
            return forward_grant(facts_, rule, uplinks, model_);
        }
        return is_refused(rules, rules.size(), nullptr, rule, model_)
                   ? std::nullopt
                   : std::optional(whole_grant(rule, uplinks));
    }

    // By a rule that linkbal does not have; what it has it has in the same order.
    [[nodiscard]] bool is_taken(const PacketRule& rule) const {
        return std::ranges::any_of(past_, [&](const PacketRule* earlier) {
            return earlier->chain == "PREROUTING" && !earlier->target.empty() &&
                   earlier->target != "LOG" && !model_.is_lan(earlier->in) &&
                   !written_.contains(earlier) && can_overlap(*earlier, rule);
        });
    }

    // Why these can't stand beside what is there already; empty: they can.
    [[nodiscard]] std::string obstacle(std::span<const ForwardConfig> forwards) const {
        for (const ForwardConfig& forward : forwards) {
            const ServicePorts ports{forward.protocols.front(), forward.port};
            if (std::ranges::any_of(model_.config.forwards, [&](const ForwardConfig& earlier) {
                    return overlap({earlier.protocols.front(), earlier.port}, ports) &&
                           meet(earlier, forward);
                })) {
                return "an earlier rule has taken these ports";
            }
            if (model_.config.firewall && is_open(ports)) {
                return "the port is one that [[firewall.allow]] opens to the gateway itself";
            }
        }
        return {};
    }
    static bool meet(const ForwardConfig& a, const ForwardConfig& b) {
        const bool uplinks = a.uplinks.empty() || b.uplinks.empty() ||
                             std::ranges::find_first_of(a.uplinks, b.uplinks) != a.uplinks.end();
        const bool sources = a.from.empty() || b.from.empty() ||
                             std::ranges::any_of(a.from, [&](const Prefix& network) {
                                 return std::ranges::any_of(b.from, [&](const Prefix& other) {
                                     return other.overlaps(network);
                                 });
                             });
        return uplinks && sources && a.to->family() == b.to->family();
    }
    [[nodiscard]] bool is_open(const ServicePorts& ports) const {
        return std::ranges::any_of(model_.config.firewall->allow, [&](const AllowConfig& allow) {
            return (allow.from.uplinks || !allow.from.networks.empty()) &&
                   std::ranges::any_of(allow.services, [&](const auto& service) {
                       return overlap(service, ports);
                   });
        });
    }

    // The same of another uplink is one forward.
    void add(ForwardConfig forward) {
        auto& forwards = model_.config.forwards;
        const auto same = std::ranges::find_if(forwards, [&](const ForwardConfig& other) {
            ForwardConfig comparable = other;
            comparable.uplinks = forward.uplinks;
            return comparable == forward && !other.uplinks.empty() && !forward.uplinks.empty();
        });
        if (same == forwards.end()) {
            forwards.push_back(std::move(forward));
        } else {
            same->uplinks.insert(same->uplinks.end(), forward.uplinks.begin(),
                                 forward.uplinks.end());
        }
    }

    const ScriptFacts& facts_;
    bool closed_;
    ImportModel& model_;
    ImportLedger& ledger_;
    std::vector<const PacketRule*> past_; // those that have been judged
    std::set<const PacketRule*> written_;
    bool masquerades_ = false;
};

} // namespace

void judge_nat(const ScriptFacts& facts, bool closed, ImportModel& model, ImportLedger& ledger) {
    NatJudge(facts, closed, model, ledger).run();
}

} // namespace linkbal
