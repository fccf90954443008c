// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/firewall_rules.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "core/firewall_parts.h"
#include "core/source_rules.h"

namespace linkbal {

namespace {

constexpr int32_t filter_priority = 0;

constexpr auto dns_set = "dns";

constexpr uint16_t dns_port = 53;
constexpr uint16_t dhcpv6_server_port = 547;
constexpr uint8_t igmp = 2;
constexpr uint8_t echo_request_4 = 8;
constexpr uint8_t echo_request_6 = 128;
// What IPv6 does not work without (RFC 4890, 4.4): errors, multicast listeners, neighbours, routers.
const std::vector<uint8_t> necessary_icmpv6{1,   2,   3,   4,   130, 131, 132,
                                            133, 134, 135, 136, 141, 142, 143};

NftHook filter_hook(NftHookPoint point) {
    return {NftChainType::filter, point, filter_priority, NftPolicy::drop};
}

ToPorts udp_port(uint16_t port) { return {Transport::udp, {{port, port}}}; }

// How long a source is remembered: as long as its limit takes to be whole again, and a minute.
std::chrono::seconds memory_of(const ConnectionRate& rate) {
    using namespace std::chrono_literals;
    return rate.unit == ConnectionRate::Unit::hour ? std::chrono::seconds(1h)
                                                   : std::chrono::seconds(1min);
}

// Sorted and disjoint.
std::vector<PortRange> ports_of(const std::vector<ServicePorts>& services, Transport transport) {
    std::vector<PortRange> all;
    for (const auto& service : services) {
        if (service.transport == transport) {
            all.push_back(service.ports);
        }
    }
    std::ranges::sort(all);
    std::vector<PortRange> joined;
    for (const auto& ports : all) {
        if (!joined.empty() && ports.first <= joined.back().last) {
            joined.back().last = std::max(joined.back().last, ports.last);
        } else {
            joined.push_back(ports);
        }
    }
    return joined;
}

void accept(NftChain& chain, std::vector<NftPart> what) {
    what.emplace_back(Accept{});
    chain.rules.push_back({std::move(what), ""});
}

// What an entry lets in, a part for each rule.
std::vector<NftPart> openings(const AllowConfig& allow) {
    std::vector<NftPart> parts;
    for (const Transport transport : transports) {
        if (auto ports = ports_of(allow.services, transport); !ports.empty()) {
            parts.emplace_back(ToPorts{transport, std::move(ports)});
        }
    }
    for (const uint8_t protocol : allow.protocols) {
        parts.emplace_back(OfProtocol{protocol});
    }
    return parts;
}

class Firewall {
  public:
    Firewall(NftRuleset& ruleset, const NetfilterState& state)
        : ruleset_(ruleset), state_(state), firewall_(*state.firewall) {}

    void append_name_servers();
    void append_drops();
    void append_input();
    void append_forward();

  private:
    void append_from_lan(NftChain& chain, const Origins& from, const NftPart& what);
    void append_from_outside(NftChain& chain, const Origins& from, const NftPart& what);
    void append_within(NftChain& chain, const Origins& from, const NftPart& what,
                       const WithinSourceLimit& limit);
    void append_lan_services(NftChain& chain);
    void append_dhcp_answers(NftChain& chain);
    void append_ping(NftChain& chain);
    void append_allowed(NftChain& chain);
    void append_rated(NftChain& chain, const AllowConfig& allow, std::string_view sources);
    void append_dns(NftChain& chain);
    [[nodiscard]] NftPart by_uplink() const { return from_uplinks(state_); }
    [[nodiscard]] NftPart by_lan() const { return OnDevices{Direction::in, state_.lan_devices}; }

    NftRuleset& ruleset_;
    const NetfilterState& state_;
    const FirewallState& firewall_;
};

void Firewall::append_name_servers() {
    std::vector<Prefix> servers;
    for (const auto& server : firewall_.config.dns_servers) {
        servers.emplace_back(server, server.bits());
    }
    std::ranges::sort(servers);
    append_prefixes(ruleset_, dns_set, servers);
}

// Where a packet is logged, counted and dropped.
void Firewall::append_drops() {
    for (const DropReason& reason : {in_pieces, spoofed, invalid, input, forward}) {
        const auto counter = counter_of(reason.name);
        NftChain chain{chain_of(reason), "", {}, {}};
        if ((firewall_.config.log & static_cast<uint8_t>(reason.log)) != 0) {
            const Log log{fmt::format("{} {}: ", firewall_.config.log_prefix, reason.word)};
            chain.rules.push_back({{log}, ""});
        }
        chain.rules.push_back({{Count{counter}, Drop{}}, ""});
        ruleset_.counters.push_back(counter);
        ruleset_.chains.push_back(std::move(chain));
    }
    ruleset_.counters.push_back(counter_of(dns_set));
}

// DHCP and, where it is ours, DNS.
void Firewall::append_lan_services(NftChain& chain) {
    const auto open = [&](std::initializer_list<NftPart> what) {
        std::vector<NftPart> parts{by_lan()};
        parts.insert(parts.end(), what);
        accept(chain, std::move(parts));
    };
    open({OfFamily{Family::ipv4}, udp_port(dhcp_server_port)});
    open({OfFamily{Family::ipv6}, udp_port(dhcpv6_server_port)});
    if (firewall_.serves_dns) {
        open({ToPorts{Transport::tcp, {{dns_port, dns_port}}}});
        open({udp_port(dns_port)});
    }
    open({OfProtocol{igmp}});
}

void Firewall::append_dhcp_answers(NftChain& chain) {
    for (const Family family : families) {
        auto answer = dhcp_answer(family);
        answer.insert(answer.begin(), by_uplink());
        accept(chain, std::move(answer));
    }
}

void Firewall::append_from_lan(NftChain& chain, const Origins& from, const NftPart& what) {
    if (from.lan) {
        accept(chain, {by_lan(), what});
    }
}

void Firewall::append_from_outside(NftChain& chain, const Origins& from, const NftPart& what) {
    if (from.uplinks) {
        accept(chain, {by_uplink(), what});
    }
    for (const auto& network : from.networks) {
        accept(chain, {FromNetwork{network}, what});
    }
}

void Firewall::append_within(NftChain& chain, const Origins& from, const NftPart& what,
                             const WithinSourceLimit& limit) {
    if (from.uplinks) {
        accept(chain, {by_uplink(), what, limit});
    }
    for (const auto& network : of_family(from.networks, limit.family)) {
        accept(chain, {FromNetwork{network}, what, limit});
    }
}

void Firewall::append_ping(NftChain& chain) {
    for (const Family family : families) {
        const uint8_t type = family == Family::ipv4 ? echo_request_4 : echo_request_6;
        const OfIcmpTypes what{family, {type}};
        Origins from = firewall_.config.ping;
        from.networks = of_family(from.networks, family);
        append_from_lan(chain, from, what);
        append_from_outside(chain, from, what);
    }
}

// What is let in without a limit is not counted. None of the rules refuses: what is over the limit of
// one entry may be let in by another, and is refused at the end of the chain otherwise, as is a source
// that a full set has no room to count.
void Firewall::append_allowed(NftChain& chain) {
    const auto& entries = firewall_.config.allow;
    for (const AllowConfig& allow : entries) {
        for (const NftPart& what : openings(allow)) {
            append_from_lan(chain, allow.from, what);
            if (!allow.rate) {
                append_from_outside(chain, allow.from, what);
            }
        }
    }
    for (size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].rate) {
            append_rated(chain, entries[i], fmt::format("sources{}_", i));
        }
    }
}

// Sources of its own, so that one entry does not use up another's limit.
void Firewall::append_rated(NftChain& chain, const AllowConfig& allow, std::string_view sources) {
    for (const Family family : families) {
        const WithinSourceLimit limit{name_of(sources, family), family, *allow.rate};
        ruleset_.sets.emplace_back(SourceSet{limit.set, family, memory_of(limit.rate)});
        for (const NftPart& what : openings(allow)) {
            append_within(chain, allow.from, what, limit);
        }
    }
}

void Firewall::append_input() {
    NftChain chain{"input", "to the gateway itself", filter_hook(NftHookPoint::input), {}};
    const auto add = [&](std::vector<NftPart> parts) {
        chain.rules.push_back({std::move(parts), ""});
    };
    add({OnDevices{Direction::in, {"lo"}}, Accept{}});
    add({OfState{ct_established | ct_related}, Accept{}});
    add({OfState{ct_invalid}, refuse(invalid)});
    add({WithMark{state_.mark_mask, fragment_mark(state_)}, refuse(in_pieces)});
    add({OfIcmpTypes{Family::ipv6, necessary_icmpv6}, Accept{}});
    append_lan_services(chain);
    append_dhcp_answers(chain);
    append_ping(chain);
    append_allowed(chain);
    add({refuse(input)});
    ruleset_.chains.push_back(std::move(chain));
}

// Queries to others than the named servers. TCP is told by a reset: an ICMP error may come while the
// client is still within its system call, and is heard a second later then (seen on 6.18).
void Firewall::append_dns(NftChain& chain) {
    if (firewall_.config.dns_servers.empty()) {
        return;
    }
    const Count count{counter_of(dns_set)};
    for (const Family family : families) {
        const InSet other{AddressField::destination, family, name_of(dns_set, family), true};
        const ToPorts tcp{Transport::tcp, {{dns_port, dns_port}}};
        chain.rules.push_back({{by_lan(), tcp, other, count, ResetTcp{}}, ""});
        chain.rules.push_back({{by_lan(), udp_port(dns_port), other, count, RejectNet{}}, ""});
    }
}

void Firewall::append_forward() {
    NftChain chain{
        "forward", "between the LAN and the links", filter_hook(NftHookPoint::forward), {}};
    const auto add = [&](std::vector<NftPart> parts, const char* comment = "") {
        chain.rules.push_back({std::move(parts), comment});
    };
    add({OfState{ct_established | ct_related}, Accept{}});
    add({OfState{ct_invalid}, refuse(invalid)});
    append_dns(chain);
    for (const Family family : families) {
        const InSet own{AddressField::source, family, name_of(lan_set, family), false};
        add({by_lan(), own, Accept{}});
    }
    add({by_uplink(), WithDestinationMapped{}, Accept{}}, "port forwards");
    add({refuse(forward)});
    ruleset_.chains.push_back(std::move(chain));
}

} // namespace

void append_firewall(NftRuleset& ruleset, const NetfilterState& state) {
    Firewall firewall(ruleset, state);
    firewall.append_name_servers();
    firewall.append_drops();
    append_source_rules(ruleset, state);
    firewall.append_input();
    firewall.append_forward();
}

} // namespace linkbal
