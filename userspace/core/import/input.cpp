// SPDX-License-Identifier: GPL-2.0-or-later
// INPUT of an imported script: who may ping the gateway and use its services.
#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "core/import/filter.h"
#include "core/import/words.h"
#include "util/result.h"

namespace linkbal {

namespace {

constexpr auto on_all_addresses = "on all addresses of the gateway";

// Where a rule's packets come from. Devices of single uplinks are gathered: [firewall] only knows all.
struct Sources {
    Origins origins;
    std::set<std::string> devices;
    std::vector<size_t> commands; // those that a device is from

    void add(const Sources& other) {
        origins.lan = origins.lan || other.origins.lan;
        origins.uplinks = origins.uplinks || other.origins.uplinks;
        for (const Prefix& network : other.origins.networks) {
            if (std::ranges::find(origins.networks, network) == origins.networks.end()) {
                origins.networks.push_back(network);
            }
        }
        devices.insert(other.devices.begin(), other.devices.end());
        commands.insert(commands.end(), other.commands.begin(), other.commands.end());
    }
};

struct OpenService {
    std::vector<ServicePorts> ports;
    std::optional<ConnectionRate> rate;
    Sources from;
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
    InputJudge(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger)
        : facts_(facts), model_(model), ledger_(ledger) {}

    void run() {
        for (size_t i = 0; i < facts_.packet_rules.size(); ++i) {
            const PacketRule& rule = facts_.packet_rules[i];
            if (rule.in_chain("INPUT")) {
                judge(rule, i);
            }
        }
        finish(ping_, "ping");
        model_.config.firewall->ping = ping_.origins;
        for (OpenService& service : services_) {
            finish(service.from, "a service");
            if (service.rate && !service.from.origins.uplinks &&
                service.from.origins.networks.empty()) {
                service.rate.reset(); // which the LAN has none of
            }
            if (!service.from.origins.nobody()) {
                model_.config.firewall->allow.push_back(
                    {service.ports, service.from.origins, service.rate});
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
            judge_drop(rule, index);
        } else if (is_answer(rule)) {
            ledger_.covered(rule.command, "answers and errors are accepted");
        } else if (rule.protocol == "igmp") {
            ledger_.covered(rule.command, "IGMP is accepted from the LAN");
        } else if (asks_for_dhcp(rule)) {
            judge_dhcp(rule);
        } else {
            judge_accept(rule);
        }
    }

    void judge_drop(const PacketRule& rule, size_t index) {
        const auto rest = std::span(facts_.packet_rules).subspan(index + 1);
        const bool opened = std::ranges::any_of(rest, [&](const PacketRule& later) {
            return later.in_chain("INPUT") && later.target == "ACCEPT" && later.in != "lo" &&
                   can_overlap(rule, later);
        });
        opened ? ledger_.left(rule.command,
                              "[firewall] says what is accepted and cannot take out some "
                              "of it")
               : ledger_.covered(rule.command, "what nothing accepts is dropped");
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

    void judge_accept(const PacketRule& rule) {
        auto from = sources(rule);
        if (!from) {
            ledger_.left(rule.command, from.error().message);
        } else if (rule.destination && !is_own(*rule.destination)) {
            ledger_.left(rule.command,
                         fmt::format("{} is no address of the gateway that the script names",
                                     rule.destination->address().str()));
        } else if (!rule.source_ports.empty()) {
            ledger_.left(rule.command,
                         "a service is known by the gateway's port, not by the client's");
        } else if (rule.protocol == "icmp") {
            judge_ping(rule, *from);
        } else if (rule.protocol.empty() || rule.protocol == "tcp" || rule.protocol == "udp") {
            judge_service(rule, *from);
        } else {
            ledger_.left(rule.command, "[firewall] lets in services of TCP and UDP");
        }
    }

    [[nodiscard]] Result<Sources> sources(const PacketRule& rule) const {
        Sources from;
        if (rule.in.empty() && !rule.source) {
            from.origins = {.lan = true, .uplinks = true, .networks = {}};
        } else if (model_.uplink_by(rule.in) != nullptr && !rule.source) {
            from.devices.insert(rule.in);
            from.commands.push_back(rule.command);
        } else if (!rule.in.empty() && !model_.is_lan(rule.in) &&
                   model_.uplink_by(rule.in) == nullptr) {
            return fail("{} is neither the LAN nor an uplink", rule.in);
        } else if (!rule.source || is_whole_lan(rule)) {
            from.origins.lan = true;
        } else {
            from.origins.networks.push_back(*rule.source);
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

    void judge_ping(const PacketRule& rule, const Sources& from) {
        const std::string_view type = rule.icmp_type;
        const bool ping =
            type.empty() || type == "8" || type == "128" || type == "echo-request" || type == "any";
        if (!ping) {
            ledger_.left(rule.command, "of ICMP's requests [firewall] only accepts ping");
            return;
        }
        ping_.add(from);
        if (rule.destination) {
            ledger_.differs(rule.command, on_all_addresses);
        } else if (!rule.limit.empty()) {
            ledger_.differs(rule.command, "ping, without a limit");
        } else if (type.empty() || type == "any") {
            ledger_.differs(rule.command, "ping; of ICMP's requests no others");
        } else {
            ledger_.taken(rule.command, "ping");
        }
    }

    void judge_service(const PacketRule& rule, const Sources& from) {
        const auto rate = rate_of(rule.limit);
        if (!rule.limit.empty() && !rate) {
            ledger_.left(rule.command,
                         "a rate is a number of connections a second, minute or hour");
            return;
        }
        const auto ports = ports_of(rule);
        const auto same = std::ranges::find_if(services_, [&](const OpenService& service) {
            return service.ports == ports && service.rate == rate;
        });
        same == services_.end() ? services_.push_back({ports, rate, from}) : same->from.add(from);
        if (rule.destination) {
            ledger_.differs(rule.command, on_all_addresses);
        }
        if (rule.protocol.empty()) {
            ping_.add(from);
            ledger_.differs(rule.command, "[[firewall.allow]] of TCP and UDP, and ping");
        } else if (rate && !rule.limit_per_source) {
            ledger_.differs(rule.command,
                            "[[firewall.allow]]; the script's limit is of all clients "
                            "together, a rate is of each that is not in the LAN");
        } else {
            ledger_.taken(rule.command, "[[firewall.allow]]");
        }
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

    // All uplinks are "uplinks", fewer have no name.
    void finish(Sources& from, std::string_view what) {
        if (from.devices.empty() || from.origins.uplinks) {
            return;
        }
        if (from.devices.size() == model_.config.uplinks.size()) {
            from.origins.uplinks = true;
            return;
        }
        for (const size_t command : from.commands) {
            ledger_.left(command,
                         fmt::format("[firewall] lets {} in from all uplinks or from none", what));
        }
    }

    const ScriptFacts& facts_;
    ImportModel& model_;
    ImportLedger& ledger_;
    Sources ping_;
    std::vector<OpenService> services_;
};

} // namespace

void judge_input(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger) {
    InputJudge(facts, model, ledger).run();
}

} // namespace linkbal
