// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/refusals.h"

#include <algorithm>
#include <array>

#include "core/import/filter.h"

namespace linkbal {

namespace {

constexpr unsigned most_jumps = 8;

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

bool words_overlap(std::string_view a, std::string_view b) {
    return a.empty() || b.empty() || a == b;
}

// "eth+" is every device whose name begins like this.
bool devices_overlap(std::string_view a, std::string_view b) {
    if (!a.ends_with('+') && !b.ends_with('+')) {
        return words_overlap(a, b);
    }
    const auto stem = [](std::string_view name) { return name.substr(0, name.find('+')); };
    return a.empty() || b.empty() || (a.ends_with('+') && stem(b).starts_with(stem(a))) ||
           (b.ends_with('+') && stem(a).starts_with(stem(b)));
}

bool is_loopback(const std::optional<Prefix>& network) {
    static const std::array<Prefix, 2> loopback{*Prefix::parse("127.0.0.0/8"),
                                                *Prefix::parse("::1/128")};
    return network &&
           std::ranges::any_of(loopback, [&](const Prefix& all) { return all.contains(*network); });
}

// What is let in comes by the LAN or an uplink, and is TCP, UDP, ping or what is asked for by name.
bool is_about_others(const PacketRule& rule, const PacketRule& wanted, const ImportModel& model) {
    const bool protocol = rule.protocol == "icmp"
                              ? is_ping(rule.icmp_type)
                              : rule.protocol.empty() || rule.protocol == "tcp" ||
                                    rule.protocol == "udp" || rule.protocol == wanted.protocol;
    const bool device = rule.in.empty() || rule.in.ends_with('+') || model.is_lan(rule.in) ||
                        model.uplink_by(rule.in) != nullptr;
    return !protocol || !device || is_loopback(rule.source) || is_loopback(rule.destination);
}

bool passes(const PacketRule& rule) {
    static constexpr std::array<std::string_view, 16> passing{
        "",     "ACCEPT", "LOG", "NFLOG", "ULOG", "MARK",   "CONNMARK",    "TOS",
        "DSCP", "TTL",    "HL",  "ECN",   "SET",  "TCPMSS", "TCPOPTSTRIP", "AUDIT"};
    return std::ranges::find(passing, rule.target) != passing.end();
}

class Refusals {
  public:
    Refusals(const PacketRule& wanted, std::span<const PacketRule> rules, const ImportModel& model)
        : wanted_(wanted), rules_(rules), model_(model) {}

    // Behind `jumps` jumps, where RETURN goes back to the chain that it came from.
    [[nodiscard]] bool refuses(const PacketRule& rule, unsigned jumps = 0) const {
        const bool own = rule.only_invalid() || is_spoofing_rule(rule, model_) ||
                         is_about_others(rule, wanted_, model_);
        if (own || passes(rule) || !can_overlap(rule, wanted_) ||
            (jumps > 0 && rule.target == "RETURN")) {
            return false;
        }
        const auto in_it = [&](const PacketRule& other) {
            return other.family == rule.family && other.in_chain(rule.target);
        };
        if (jumps == most_jumps || std::ranges::none_of(rules_, in_it)) {
            return true;
        }
        return std::ranges::any_of(rules_, [&](const PacketRule& other) {
            return in_it(other) && refuses(other, jumps + 1);
        });
    }

    // In the tables that see a packet before `filter` does.
    [[nodiscard]] bool refuses_before(const PacketRule& rule) const {
        const bool sees = (rule.chain == "PREROUTING" && rule.table != "nat") ||
                          rule.in_chain(wanted_.chain, "mangle");
        return sees && rule.target == "DROP" && refuses(rule);
    }

  private:
    const PacketRule& wanted_;
    std::span<const PacketRule> rules_;
    const ImportModel& model_;
};

} // namespace

bool can_overlap(const PacketRule& a, const PacketRule& b) {
    return a.family == b.family && !a.only_known() && !b.only_known() && !a.fragments &&
           !b.fragments && words_overlap(a.protocol, b.protocol) && devices_overlap(a.in, b.in) &&
           devices_overlap(a.out, b.out) && networks_overlap(a.source, b.source) &&
           networks_overlap(a.destination, b.destination) && ranges_overlap(a.ports, b.ports);
}

std::vector<const PacketRule*> refusals_of(const PacketRule& wanted,
                                           std::span<const PacketRule> rules, size_t end,
                                           const ImportModel& model) {
    const Refusals refusals(wanted, rules, model);
    std::vector<const PacketRule*> found;
    for (size_t i = 0; i < rules.size(); ++i) {
        const PacketRule& rule = rules[i];
        if ((i < end && rule.in_chain(wanted.chain) && refusals.refuses(rule)) ||
            refusals.refuses_before(rule)) {
            found.push_back(&rule);
        }
    }
    return found;
}

} // namespace linkbal
