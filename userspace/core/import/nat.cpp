// SPDX-License-Identifier: GPL-2.0-or-later
// The table nat of an imported script: masquerading and port forwards.
#include <algorithm>

#include <fmt/format.h>

#include "core/import/filter.h"
#include "core/import/words.h"
#include "core/services.h"

namespace linkbal {

namespace {

// "192.168.0.10", "192.168.0.10:80", "[2001:db8::1]:80"; the port may be a range.
struct Destination {
    std::optional<IpAddress> address;
    std::optional<PortRange> port;
};
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

bool covers(const std::vector<PortRange>& ports, const PortRange& asked) {
    return ports.empty() || std::ranges::any_of(ports, [&](const PortRange& range) {
               return range.first <= asked.first && asked.last <= range.last;
           });
}

class NatJudge {
  public:
    NatJudge(const ScriptFacts& facts, bool closed, ImportModel& model, ImportLedger& ledger)
        : facts_(facts), closed_(closed), model_(model), ledger_(ledger) {}

    void run() {
        for (const PacketRule& rule : facts_.packet_rules) {
            if (rule.table == "nat") {
                judge(rule);
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
        const auto [to, port] = destination_of(rule.to);
        const auto uplinks = uplinks_of(rule);
        const auto& networks = model_.config.lan.networks;
        const bool in_lan =
            to && (networks.empty() ||
                   std::ranges::any_of(networks, [&](const auto& n) { return n.contains(*to); }));
        if (!to || (rule.protocol != "tcp" && rule.protocol != "udp") || rule.ports.empty()) {
            ledger_.left(rule.command, "a [[forward]] is of ports of TCP or UDP, to one address");
        } else if (!in_lan) {
            ledger_.left(rule.command, fmt::format("{} is not in the LAN", to->str()));
        } else if (!uplinks || !rule.source_ports.empty()) {
            ledger_.left(rule.command,
                         "a [[forward]] is for what comes by uplinks to their addresses");
        } else {
            add_forwards(rule, *uplinks, port);
        }
    }

    // Empty: all; none: it is for something else.
    [[nodiscard]] std::optional<std::vector<std::string>> uplinks_of(const PacketRule& rule) const {
        const UplinkConfig* uplink = model_.uplink_by(rule.in);
        if (rule.in.empty() && rule.destination) {
            uplink = uplink_with(*rule.destination);
        }
        if (uplink != nullptr) {
            return std::vector{uplink->name};
        }
        return rule.in.empty() && !rule.destination ? std::optional(std::vector<std::string>{})
                                                    : std::nullopt;
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

    void add_forwards(const PacketRule& rule, const std::vector<std::string>& uplinks,
                      const std::optional<PortRange>& port) {
        const auto from = sources(rule);
        if (!from) {
            ledger_.left(rule.command, "no rule of FORWARD accepts what it would forward");
            return;
        }
        std::vector<ForwardConfig> forwards;
        for (const PortRange& outside : rule.ports) {
            ForwardConfig& forward = forwards.emplace_back();
            forward.protocols = {rule.protocol == "tcp" ? Transport::tcp : Transport::udp};
            forward.port = outside;
            forward.to = destination_of(rule.to).address;
            forward.to_port =
                port && port->first != outside.first ? std::optional(port->first) : std::nullopt;
            forward.uplinks = uplinks;
            forward.from = *from;
            forward.hairpin = rule.in.empty();
        }
        if (const auto reason = obstacle(forwards); !reason.empty()) {
            ledger_.left(rule.command, reason);
            return;
        }
        std::ranges::for_each(forwards, [&](const ForwardConfig& forward) { add(forward); });
        rule.in.empty() && !rule.destination
            ? ledger_.differs(rule.command, "[[forward]]; only of what is for an uplink's address")
            : ledger_.taken(rule.command, "[[forward]]");
    }

    // Why these can't stand beside what is there already; empty: they can.
    [[nodiscard]] std::string obstacle(std::span<const ForwardConfig> forwards) const {
        for (const ForwardConfig& forward : forwards) {
            if (forward.to_port &&
                *forward.to_port + forward.port.last - forward.port.first > 65535) {
                return "there are not as many ports";
            }
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

    // Where it may come from by the rule itself and by FORWARD; empty: from anywhere.
    [[nodiscard]] std::optional<std::vector<Prefix>> sources(const PacketRule& rule) const {
        std::vector<Prefix> from;
        bool accepted = !closed_;
        bool anybody = !closed_;
        for (const PacketRule& other : facts_.packet_rules) {
            if (closed_ && other.in_chain("FORWARD") && other.target == "ACCEPT" &&
                admits_forward(other, rule)) {
                accepted = true;
                anybody = anybody || !other.source;
                from.push_back(other.source.value_or(Prefix::any(rule.family)));
            }
        }
        if (!accepted) {
            return std::nullopt;
        }
        if (rule.source) {
            return std::vector{*rule.source};
        }
        return anybody ? std::vector<Prefix>{} : from;
    }

    const ScriptFacts& facts_;
    bool closed_;
    ImportModel& model_;
    ImportLedger& ledger_;
    bool masquerades_ = false;
};

} // namespace

bool admits_forward(const PacketRule& accept, const PacketRule& dnat) {
    const auto [to, port] = destination_of(dnat.to);
    const auto asked = port ? *port : dnat.ports.empty() ? PortRange{0, 0} : dnat.ports.front();
    return to && accept.family == dnat.family && accept.unknown.empty() && !accept.only_known() &&
           (!accept.destination || accept.destination->contains(*to)) &&
           (accept.protocol.empty() || accept.protocol == dnat.protocol) &&
           covers(accept.ports, {asked.first, asked.first}) && accept.source_ports.empty() &&
           (accept.in.empty() || dnat.in.empty() || accept.in == dnat.in) &&
           (!accept.source || !dnat.source || accept.source->overlaps(*dnat.source)) &&
           // The LAN's way out is no way in.
           (accept.destination || !accept.ports.empty() || accept.has_state("DNAT") ||
            !accept.out.empty());
}

void judge_nat(const ScriptFacts& facts, bool closed, ImportModel& model, ImportLedger& ledger) {
    NatJudge(facts, closed, model, ledger).run();
}

} // namespace linkbal
