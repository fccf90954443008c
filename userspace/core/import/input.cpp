// SPDX-License-Identifier: GPL-2.0-or-later
// INPUT of an imported script: who may ping the gateway and use its services.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/import/filter.h"
#include "core/import/origins.h"
#include "core/import/refusals.h"
#include "core/import/sides.h"
#include "core/import/words.h"
#include "core/services.h"
#include "util/result.h"

namespace linkbal {

namespace {

constexpr auto no_rate_in_lan = "a rate is of what is not from the LAN";

struct OpenService {
    std::vector<ServicePorts> ports;
    std::vector<uint8_t> protocols; // those without ports
    std::optional<ConnectionRate> rate;
    OriginList from;
};

bool is_answer_type(std::string_view type) {
    static constexpr std::array<std::string_view, 22> types{"0",
                                                            "3",
                                                            "4",
                                                            "11",
                                                            "12",
                                                            "echo-reply",
                                                            "destination-unreachable",
                                                            "source-quench",
                                                            "time-exceeded",
                                                            "ttl-exceeded",
                                                            "parameter-problem",
                                                            "fragmentation-needed",
                                                            "packet-too-big",
                                                            "port-unreachable",
                                                            "host-unreachable",
                                                            "network-unreachable",
                                                            "router-advertisement",
                                                            "router-solicitation",
                                                            "neighbour-solicitation",
                                                            "neighbour-advertisement",
                                                            "neighbor-solicitation",
                                                            "neighbor-advertisement"};
    return std::ranges::find(types, type) != types.end();
}

bool is_neighbour_type(std::string_view type) {
    static constexpr std::array<std::string_view, 12> types{
        "1", "2", "130", "131", "132", "133", "134", "135", "136", "137", "143", "129"};
    return std::ranges::find(types, type) != types.end();
}

// "3/min", "10/second"; per day is none that linkbal has.
std::optional<ConnectionRate> rate_of(const std::string& limit) {
    const size_t slash = limit.find('/');
    const auto number = number_word(limit.substr(0, slash));
    const std::string unit = slash == std::string::npos ? "second" : limit.substr(slash + 1);
    if (!number || *number < 1 || *number > 10000 || unit.empty()) {
        return std::nullopt;
    }
    using Unit = ConnectionRate::Unit;
    for (const auto& [name, value] : {std::pair<std::string_view, Unit>{"seconds", Unit::second},
                                      {"minutes", Unit::minute},
                                      {"hours", Unit::hour}}) {
        if (name.starts_with(unit)) {
            return ConnectionRate{*number, value};
        }
    }
    return std::nullopt;
}

class InputJudge {
  public:
    InputJudge(const ScriptFacts& facts, std::span<const Family> closed, ImportModel& model,
               ImportLedger& ledger)
        : facts_(facts), closed_(closed), model_(model), ledger_(ledger) {}

    void run() {
        for (size_t i = 0; i < facts_.packet_rules.size(); ++i) {
            const PacketRule& rule = facts_.packet_rules[i];
            if (rule.in_chain("INPUT")) {
                judge(rule, i);
            }
        }
        const OriginSum sum(closed_, model_, ledger_);
        model_.config.firewall->ping = sum.of(ping_, "ping");
        for (const OpenService& service : services_) {
            Origins from = sum.of(service.from, "a service");
            if (service.rate && from.lan && !from.uplinks) {
                from.lan = false;
                for (const Origin& origin : service.from) {
                    ledger_.left(origin.command, no_rate_in_lan);
                }
            }
            if (!from.nobody()) {
                AllowConfig& allow = model_.config.firewall->allow.emplace_back();
                allow.services = service.ports;
                allow.protocols = service.protocols;
                allow.from = from;
                allow.rate = service.rate;
            }
        }
    }

  private:
    void judge(const PacketRule& rule, size_t index) {
        if (rule.in == "lo" && rule.target == "ACCEPT" && rule.unknown.empty()) {
            ledger_.covered(rule.command, "the gateway may talk to itself");
        } else if (judge_common(rule, model_, ledger_)) {
            return;
        } else if (rule.target != "ACCEPT") {
            ledger_.covered(rule.command, "what nothing accepts is dropped");
        } else if (is_answer(rule)) {
            ledger_.covered(rule.command, "answers and errors are accepted");
        } else if (rule.protocol == "igmp") {
            ledger_.covered(rule.command, "IGMP is accepted from the LAN");
        } else if (asks_for_dhcp(rule)) {
            judge_dhcp(rule);
        } else {
            judge_accept(rule, index);
        }
    }

    static bool is_answer(const PacketRule& rule) {
        const std::string_view type = rule.icmp_type;
        return rule.protocol == "icmp" && !type.empty() &&
               (is_answer_type(type) || (rule.family == Family::ipv6 && is_neighbour_type(type)));
    }

    void judge_dhcp(const PacketRule& rule) {
        const bool from_lan =
            model_.is_lan(rule.in) || (rule.source && model_.is_lan(*rule.source));
        from_lan ? ledger_.covered(rule.command, "DHCP is accepted from the LAN")
                 : ledger_.differs(rule.command, "DHCP is accepted, but only from the LAN");
    }

    void judge_accept(const PacketRule& rule, size_t index) {
        auto from = origin(rule);
        if (const std::string reason = obstacle(rule); !reason.empty()) {
            ledger_.left(rule.command, reason);
        } else if (!from) {
            ledger_.left(rule.command, from.error().message);
        } else if (!take_out_refused(*from, index)) {
            ledger_.left(rule.command, "an earlier rule refuses some of it, and [firewall] cannot "
                                       "take out some");
        } else if (rule.protocol == "icmp") {
            judge_ping(rule, *from);
        } else {
            judge_service(rule, *from);
        }
    }

    // Takes out the side, of LAN and uplinks, on which an earlier rule refuses something; false if that
    // cannot be done or leaves nothing.
    bool take_out_refused(Origin& from, size_t index) {
        const bool everywhere = from.lan && from.uplinks;
        for (const PacketRule* refusal : refusals_of_input(index)) {
            const Side side = side_of(*refusal, model_);
            if (side == Side::both || (!everywhere && side == side_of(from, model_))) {
                return false;
            }
            if (everywhere) {
                (side == Side::lan ? from.lan : from.uplinks) = false;
            }
        }
        if (everywhere && !from.lan && !from.uplinks) {
            return false;
        }
        if (everywhere && !(from.lan && from.uplinks)) {
            ledger_.differs(from.command,
                            fmt::format("only from {}: an earlier rule refuses others",
                                        from.lan ? "the LAN" : "the uplinks"));
        }
        return true;
    }

    // What nat sends elsewhere never gets to INPUT.
    [[nodiscard]] std::vector<const PacketRule*> refusals_of_input(size_t index) const {
        const PacketRule& accept = facts_.packet_rules[index];
        auto refusals = refusals_of(accept, facts_.packet_rules, index, model_);
        for (const PacketRule& rule : facts_.packet_rules) {
            if (rule.in_chain("PREROUTING", "nat") && can_overlap(rule, accept) &&
                (rule.target == "DNAT" || rule.target == "REDIRECT")) {
                refusals.push_back(&rule);
            }
        }
        return refusals;
    }

    // Why [firewall] cannot open this and no more; empty: it can.
    [[nodiscard]] std::string obstacle(const PacketRule& rule) const {
        PacketRule rest = rule; // judged with what it is for
        rest.limit.clear();
        rest.limit_per_source = false;
        if (rule.protocol == "icmp") {
            rest.icmp_type.clear();
        }
        if (!rule.opens()) {
            return "packets in these states open no connection, and others [firewall] lets in by "
                   "itself";
        }
        if (!rest.asks_for_ends()) {
            return "[firewall] asks for no marks, fragments or shares of the packets";
        }
        if (rule.destination && !is_own(*rule.destination)) {
            return fmt::format("{} is no address of the gateway that the script names",
                               rule.destination->address().str());
        }
        if (!rule.source_ports.empty()) {
            return "a service is known by the gateway's port, not by the client's";
        }
        if (rule.destination) {
            return "[firewall] opens services on all addresses of the gateway or on none";
        }
        const bool ports_of_none = rule.protocol.empty() && (!rule.ports.empty() || rule.syn);
        const bool known = rule.protocol.empty() || rule.protocol == "icmp" ||
                           rule.protocol == "tcp" || rule.protocol == "udp";
        const bool portless = find_protocol(rule.protocol) != nullptr && rule.limit.empty();
        return (known || portless) && !ports_of_none
                   ? ""
                   : "[firewall] lets in services of TCP and UDP, and few other protocols";
    }

    [[nodiscard]] Result<Origin> origin(const PacketRule& rule) const {
        Origin from;
        from.command = rule.command;
        from.family = rule.family;
        const bool by_lan = model_.is_lan(rule.in);
        const bool by_uplink = model_.uplink_by(rule.in) != nullptr;
        if (!rule.in.empty() && !by_lan && !by_uplink) {
            return fail("{} is neither the LAN nor an uplink", rule.in);
        }
        const bool whole_lan = rule.source && is_whole_lan(rule);
        if (!rule.source || (by_lan && whole_lan)) {
            from.lan = from.uplinks = rule.in.empty();
            (by_lan ? from.lan_device : from.uplink_device) = rule.in;
        } else if (rule.in.empty() && whole_lan) {
            from.lan = true;
        } else if (rule.in.empty() || (by_lan && is_in_lan(*rule.source, model_))) {
            from.network = rule.source;
        } else {
            return fail("[firewall] lets {} in whichever way it comes, not only by {}",
                        rule.source->str(), rule.in);
        }
        return from;
    }
    [[nodiscard]] bool is_whole_lan(const PacketRule& rule) const {
        return model_.is_lan(*rule.source) && model_.config.lan.networks.size() == 1;
    }

    // As far as the script says which addresses the gateway has.
    [[nodiscard]] bool is_own(const Prefix& destination) const {
        const auto has = [&](const IpAddress& address) { return destination.contains(address); };
        const auto names = [&](const PacketRule& rule) {
            return rule.in_chain("INPUT") && rule.in == "lo" && rule.source &&
                   has(rule.source->address());
        };
        return std::ranges::any_of(facts_.addresses,
                                   [&](const auto& own) { return has(own.address); }) ||
               std::ranges::any_of(facts_.routes,
                                   [&](const auto& r) { return r.source && has(*r.source); }) ||
               std::ranges::any_of(facts_.packet_rules, names);
    }

    void judge_ping(const PacketRule& rule, const Origin& from) {
        const std::string_view type = rule.icmp_type;
        if (!is_ping(type)) {
            ledger_.left(rule.command, "of ICMP's requests [firewall] only accepts ping");
        } else if (!rule.limit.empty()) {
            ledger_.left(rule.command, "ping is let in without a limit or not at all");
        } else {
            ping_.push_back(from);
            type.empty() || type == "any"
                ? ledger_.differs(rule.command, "ping; of ICMP's requests no others")
                : ledger_.taken(rule.command, "ping");
        }
    }

    void judge_service(const PacketRule& rule, const Origin& from) {
        const auto rate = rate_of(rule.limit);
        if (!rule.limit.empty() && !rate) {
            ledger_.left(rule.command,
                         "a rate is a number of connections a second, minute or hour");
            return;
        }
        if (rate && !rule.limit_per_source) {
            ledger_.left(rule.command, "the script's limit is of all clients together, a rate of "
                                       "[[firewall.allow]] is of each");
            return;
        }
        if (rate && is_of_lan(from)) {
            ledger_.left(rule.command, no_rate_in_lan);
            return;
        }
        open(rule, rate, from);
        if (rule.protocol.empty()) {
            ping_.push_back(from);
            ledger_.differs(rule.command, "[[firewall.allow]] of TCP and UDP, and ping");
        } else {
            ledger_.taken(rule.command, "[[firewall.allow]]");
        }
    }

    [[nodiscard]] bool is_of_lan(const Origin& from) const {
        return (from.lan && !from.uplinks) || !from.lan_device.empty() ||
               (from.network && is_in_lan(*from.network, model_));
    }

    void open(const PacketRule& rule, const std::optional<ConnectionRate>& rate,
              const Origin& from) {
        const IpProtocol* portless = find_protocol(rule.protocol);
        const auto protocols =
            portless == nullptr ? std::vector<uint8_t>{} : std::vector{portless->number};
        const auto ports = portless == nullptr ? ports_of(rule) : std::vector<ServicePorts>{};
        const auto same = std::ranges::find_if(services_, [&](const OpenService& service) {
            return service.ports == ports && service.protocols == protocols && service.rate == rate;
        });
        same == services_.end() ? services_.push_back({ports, protocols, rate, {from}})
                                : same->from.push_back(from);
    }

    static std::vector<ServicePorts> ports_of(const PacketRule& rule) {
        std::vector<ServicePorts> services;
        const std::vector<PortRange> all{{1, 65535}};
        for (const Transport transport : transports) {
            if (rule.protocol.empty() ||
                (transport == Transport::tcp) == (rule.protocol == "tcp")) {
                for (const PortRange& range : rule.ports.empty() ? all : rule.ports) {
                    services.push_back({transport, range});
                }
            }
        }
        return services;
    }

    const ScriptFacts& facts_;
    std::span<const Family> closed_;
    ImportModel& model_;
    ImportLedger& ledger_;
    OriginList ping_;
    std::vector<OpenService> services_;
};

} // namespace

void judge_input(const ScriptFacts& facts, std::span<const Family> closed, ImportModel& model,
                 ImportLedger& ledger) {
    InputJudge(facts, closed, model, ledger).run();
}

} // namespace linkbal
