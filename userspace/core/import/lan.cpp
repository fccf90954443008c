// SPDX-License-Identifier: GPL-2.0-or-later
// The local network of an imported script: whose packets it marks, lets out and masquerades.
#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "core/import/model.h"
#include "core/import/words.h"

namespace linkbal {

namespace {

// Rules that say of their source that it is the LAN.
bool is_about_lan(const PacketRule& rule) {
    return (rule.in_chain("PREROUTING", "mangle") && rule.set_mark) ||
           rule.in_chain("POSTROUTING", "nat") ||
           (rule.in_chain("FORWARD") && rule.target == "ACCEPT" && !rule.only_known());
}

bool is_own_network(const Prefix& network, const ImportModel& model) {
    return network.length() < network.address().bits() && !network.is_default() &&
           std::ranges::none_of(
               model.config.uplinks,
               [&](const UplinkConfig& uplink) {
                   return (uplink.gateway && network.contains(*uplink.gateway)) ||
                          (uplink.gateway6 && network.contains(*uplink.gateway6));
               });
}

void add_network(const std::optional<Prefix>& network, ImportModel& model) {
    auto& networks = model.config.lan.networks;
    if (network && is_own_network(*network, model) &&
        std::ranges::none_of(networks,
                             [&](const auto& other) { return other.overlaps(*network); })) {
        networks.push_back(*network);
    }
}

// Not those of tunnels, which are called so.
void add_interface(const std::string& device, ImportModel& model) {
    static constexpr std::array<std::string_view, 6> tunnels{"tun", "tap",   "ppp",
                                                             "wg",  "ipsec", "gre"};
    const bool tunnel =
        std::ranges::any_of(tunnels, [&](auto prefix) { return device.starts_with(prefix); });
    if (!tunnel && is_device_word(device) && model.uplink_by(device) == nullptr &&
        !model.is_lan(device)) {
        model.config.lan.interfaces.push_back(device);
    }
}

// By a line that is none of the links: masqueraded there, or somebody's default route.
bool leads_out(const std::string& device, const ScriptFacts& facts) {
    const auto goes = [&](const ScriptHop& hop) { return hop.device == device; };
    return std::ranges::any_of(facts.packet_rules,
                               [&](const PacketRule& rule) {
                                   return rule.in_chain("POSTROUTING", "nat") && rule.out == device;
                               }) ||
           std::ranges::any_of(facts.routes, [&](const ScriptRoute& route) {
               return route.destination.is_default() && std::ranges::any_of(route.hops, goes);
           });
}

// Who opens connections to elsewhere, and to whom those lead that come by uplinks. Who only reaches the
// gateway itself may be a guest.
void add_forwarding_interfaces(const ScriptFacts& facts, ImportModel& model) {
    for (const PacketRule& rule : facts.packet_rules) {
        if ((is_about_lan(rule) || rule.target == "REDIRECT") && !leads_out(rule.in, facts)) {
            add_interface(rule.in, model);
        }
        const bool inward = rule.in_chain("FORWARD") && rule.target == "ACCEPT" &&
                            (model.uplink_by(rule.in) != nullptr ||
                             (rule.destination && model.is_lan(*rule.destination)));
        if (inward && !leads_out(rule.out, facts)) {
            add_interface(rule.out, model);
        }
    }
}

void add_interfaces(const ScriptFacts& facts, ImportModel& model) {
    const auto& networks = model.config.lan.networks;
    const auto in_lan = [&](const IpAddress& address) {
        return std::ranges::any_of(networks, [&](const auto& n) { return n.contains(address); });
    };
    for (const ScriptAddress& own : facts.addresses) {
        if (in_lan(own.address)) {
            add_interface(own.device, model);
        }
    }
    for (const ScriptRoute& route : facts.routes) {
        if (!route.hops.front().via && model.is_lan(route.destination)) {
            add_interface(route.hops.front().device, model);
        }
    }
    add_forwarding_interfaces(facts, model);
    if (!model.config.lan.interfaces.empty()) {
        return;
    }
    for (const PacketRule& rule : facts.packet_rules) {
        if (rule.in_chain("INPUT") && rule.target == "ACCEPT" && !rule.only_known() &&
            !leads_out(rule.in, facts)) {
            add_interface(rule.in, model);
        }
    }
}

// Whole numbers that are in the proportion of `shares`, as small as a percent allows.
std::vector<uint32_t> weights_of(const std::vector<double>& shares) {
    std::vector<uint32_t> weights(shares.size(), 1);
    double total = 0;
    for (const double share : shares) {
        total += share;
    }
    for (double scale = 1; scale <= 100 && total > 0; ++scale) {
        double error = 0;
        for (size_t i = 0; i < shares.size(); ++i) {
            const double wanted = shares[i] / total * scale;
            weights[i] = static_cast<uint32_t>(std::max(1.0, std::round(wanted)));
            error = std::max(error, std::abs(weights[i] - wanted) / scale);
        }
        if (error < 0.005) {
            break;
        }
    }
    return weights;
}

class MarkJudge {
  public:
    MarkJudge(const ScriptFacts& facts, const std::map<std::string, size_t>& uplink_of_table,
              std::string balance_table, ImportModel& model, ImportLedger& ledger)
        : facts_(facts), uplink_of_table_(uplink_of_table),
          balance_table_(std::move(balance_table)), model_(model), ledger_(ledger),
          shares_(model.config.uplinks.size()) {}

    void run() {
        for (const PacketRule& rule : facts_.packet_rules) {
            chance_ = chance_ || (rule.table == "mangle" && rule.set_mark && rule.share);
        }
        for (const PacketRule& rule : facts_.packet_rules) {
            if (rule.table == "mangle" && rule.target != "TCPMSS") {
                judge(rule);
            }
        }
        if (spread_ && balance_table_.empty()) {
            const auto weights = weights_of(shares_);
            for (size_t i = 0; i < weights.size(); ++i) {
                model_.config.uplinks[i].weight = weights[i];
            }
        }
    }

  private:
    void judge(const PacketRule& rule) {
        const bool marks = rule.target == "MARK" || rule.target == "CONNMARK";
        const bool keeps = marks && (!rule.set_mark || model_.uplink_by(rule.in) != nullptr ||
                                     model_.uplink_by(rule.out) != nullptr);
        if (!is_built_in(rule.chain)) {
            ledger_.left(rule.command, "chains of its own are not followed");
        } else if (is_exception(rule) || (keeps && rule.unknown.empty())) {
            ledger_.covered(rule.command, "linkbal keeps a connection on its link");
        } else if (!rule.unknown.empty()) {
            ledger_.left(rule.command, fmt::format("\"{}\" is not understood", rule.unknown));
        } else if (!marks) {
            ledger_.left(rule.command, "linkbal changes nothing of packets but their link");
        } else if (rule.chain != "PREROUTING") {
            ledger_.left(rule.command, "the gateway's own packets go by default_uplink");
        } else {
            judge_mark(rule);
        }
    }

    static bool is_built_in(std::string_view chain) {
        static constexpr std::array<std::string_view, 5> chains{"PREROUTING", "INPUT", "FORWARD",
                                                                "OUTPUT", "POSTROUTING"};
        return std::ranges::find(chains, chain) != chains.end();
    }

    // What is marked already, is not from the LAN or stays in it goes on unmarked.
    [[nodiscard]] bool is_exception(const PacketRule& rule) const {
        const bool skips = rule.target == "ACCEPT" || rule.target == "RETURN";
        const bool foreign = rule.not_source && model_.is_lan(*rule.not_source);
        const bool inside =
            rule.unknown.empty() && rule.destination && model_.is_lan(*rule.destination);
        return skips && (rule.has_mark || rule.not_mark || foreign || inside);
    }

    void judge_mark(const PacketRule& rule) {
        const auto by_mark = std::ranges::find(facts_.rules, rule.set_mark, &ScriptRule::mark);
        if (by_mark == facts_.rules.end()) {
            ledger_.left(rule.command, "no rule of ip asks for this mark");
        } else if (!is_whole_lan(rule)) {
            ledger_.left(rule.command, "linkbal cannot choose links by this yet");
        } else if (by_mark->table == balance_table_) {
            ledger_.taken(rule.command, "[lan]");
        } else if (const auto own = uplink_of_table_.find(by_mark->table);
                   own == uplink_of_table_.end()) {
            ledger_.left(rule.command, "the mark's table is not one of a link");
        } else if (!chance_) {
            ledger_.left(rule.command, "linkbal spreads the LAN over all links");
        } else {
            add_share(own->second, rule);
            ledger_.taken(rule.command, "weights of the uplinks");
        }
    }

    [[nodiscard]] bool is_whole_lan(const PacketRule& rule) const {
        return (rule.in.empty() || model_.is_lan(rule.in)) && rule.out.empty() &&
               (!rule.source || model_.is_lan(*rule.source)) && !rule.destination &&
               rule.protocol.empty() && (rule.states.empty() || rule.has_state("NEW"));
    }

    // A rule by chance takes its part of what it is asked about: of the packets without a mark if it
    // says so (or if it counts, as then no two rules of a round take the same), else of all.
    void add_share(size_t uplink, const PacketRule& rule) {
        const double part = rule.share.value_or(1.0);
        double took = part;
        if (rule.has_mark) {
            took = unmarked_ * part;
            unmarked_ -= took;
        } else if (is_counting(rule) && unmarked_ + 0.001 >= part) {
            unmarked_ -= part;
        } else {
            unmarked_ *= 1 - part;
            for (double& share : shares_) {
                share *= 1 - part;
            }
        }
        shares_[uplink] += took;
        spread_ = true;
    }
    static bool is_counting(const PacketRule& rule) {
        return std::ranges::find(rule.words, "--every") != rule.words.end();
    }

    const ScriptFacts& facts_;
    const std::map<std::string, size_t>& uplink_of_table_;
    std::string balance_table_;
    ImportModel& model_;
    ImportLedger& ledger_;
    std::vector<double> shares_;
    double unmarked_ = 1;
    bool spread_ = false, chance_ = false;
};

} // namespace

void find_lan(const ScriptFacts& facts, ImportModel& model) {
    for (const PacketRule& rule : facts.packet_rules) {
        if (is_about_lan(rule) && (rule.in.empty() || model.uplink_by(rule.in) == nullptr)) {
            add_network(rule.source, model);
        }
    }
    for (const ScriptRule& rule : facts.rules) {
        add_network(rule.others ? std::nullopt : rule.from, model);
    }
    add_interfaces(facts, model);
}

void judge_marks(const ScriptFacts& facts, const std::map<std::string, size_t>& uplink_of_table,
                 const std::string& balance_table, ImportModel& model, ImportLedger& ledger) {
    MarkJudge(facts, uplink_of_table, balance_table, model, ledger).run();
}

} // namespace linkbal
