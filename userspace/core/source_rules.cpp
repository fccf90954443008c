// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/source_rules.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/firewall_parts.h"
#include "util/sorted_and_unique.h"

namespace linkbal {

namespace {

constexpr int32_t before_defragmentation = -450; // which is at -400
// Behind conntrack (-200), in front of the marks (-150) and of port forwards (-100).
constexpr int32_t before_marks = -160;

constexpr uint16_t dhcp_client_port = 68;
constexpr uint16_t dhcpv6_client_port = 546;

constexpr std::string_view spoofed_set = "spoofed";
constexpr std::string_view expected_set = "expected";

// Of who has no address yet: where are routers, is this address free, these are my groups.
const std::vector<uint8_t> nameless_icmpv6{133, 135, 143};

// Conntrack puts the pieces together before anyone else sees them: who wants to know must look before
// that, and tell by a mark, which the whole packet has from its first piece.
void append_fragments(NftRuleset& ruleset, const NetfilterState& state) {
    NftChain chain{"fragments",
                   "remember what came in pieces",
                   NftHook{NftChainType::filter, NftHookPoint::prerouting, before_defragmentation},
                   {}};
    for (const Family family : families) {
        const SetMark mark{state.mark_mask, fragment_mark(state)};
        chain.rules.push_back({{IsFragment{family}, from_uplinks(state), mark}, ""});
    }
    ruleset.chains.push_back(std::move(chain));
}

// The LAN's and our own addresses are looked at in every packet: an open connection is no excuse.
void append_sources(NftRuleset& ruleset, const NetfilterState& state) {
    NftChain chain{"sources",
                   "who comes by an uplink must not be somebody else",
                   NftHook{NftChainType::filter, NftHookPoint::prerouting, before_marks},
                   {}};
    const auto add = [&](std::vector<NftPart> parts, const char* comment = "") {
        chain.rules.push_back({std::move(parts), comment});
    };
    const auto from = [](std::string_view set, Family family) {
        return InSet{AddressField::source, family, name_of(set, family), false};
    };
    auto trusted = state.lan_devices;
    trusted.insert(trusted.begin(), "lo");
    add({OnDevices{Direction::in, trusted}, Accept{}});
    for (const Family family : families) {
        add({from(lan_set, family), refuse(spoofed)}, "the LAN's, not from the LAN");
    }
    add({IsLocal{AddressField::source}, refuse(spoofed)}, "our own");
    add({OfState{ct_established | ct_related}, Accept{}});
    for (const auto& [device, network] : state.firewall->subnets) {
        add({OnDevices{Direction::in, {device}}, FromNetwork{network}, Accept{}}, "its own");
    }
    add({from_uplinks(state), FromNetwork{*Prefix::parse("::/128")},
         OfIcmpTypes{Family::ipv6, nameless_icmpv6}, Accept{}});
    for (const Family family : families) {
        // The provider's server may have any address; it is judged as input.
        auto answer = dhcp_answer(family);
        answer.insert(answer.begin(), from_uplinks(state));
        answer.emplace_back(Accept{});
        add(std::move(answer));
        add({from_uplinks(state), from(expected_set, family), Accept{}});
        add({from_uplinks(state), from(spoofed_set, family), refuse(spoofed)});
    }
    ruleset.chains.push_back(std::move(chain));
}

} // namespace

void append_prefixes(NftRuleset& ruleset, std::string_view name,
                     const std::vector<Prefix>& networks) {
    for (const Family family : families) {
        ruleset.sets.emplace_back(
            PrefixSet{name_of(name, family), family, of_family(networks, family)});
    }
}

// DHCP's servers and relays send from their own port (RFC 2131, 4.1), those of DHCPv6 from any.
// The DHCPv6 client asks from its link-local address, and there the answer goes (RFC 8415).
std::vector<NftPart> dhcp_answer(Family family) {
    if (family == Family::ipv4) {
        return {OfFamily{family}, BetweenPorts{Transport::udp, dhcp_server_port, dhcp_client_port}};
    }
    return {ToNetwork{*Prefix::parse("fe80::/10")},
            ToPorts{Transport::udp, {{dhcpv6_client_port, dhcpv6_client_port}}}};
}

NftPart from_uplinks(const NetfilterState& state) {
    std::vector<std::string> devices;
    std::ranges::transform(state.uplinks, std::back_inserter(devices), &NetfilterUplink::device);
    return OnDevices{Direction::in, sorted_and_unique(std::move(devices))};
}

void append_source_rules(NftRuleset& ruleset, const NetfilterState& state) {
    append_prefixes(ruleset, lan_set, state.masqueraded);
    append_prefixes(ruleset, spoofed_set, spoofed_sources());
    append_prefixes(ruleset, expected_set, state.firewall->expected);
    append_fragments(ruleset, state);
    append_sources(ruleset, state);
}

const std::vector<Prefix>& spoofed_sources() {
    static const std::vector<Prefix> networks = [] {
        std::vector<Prefix> parsed;
        for (const char* text : {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
                                 "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
                                 "::/127", "::ffff:0:0/96", "fc00::/7", "fec0::/10", "ff00::/8"}) {
            parsed.push_back(*Prefix::parse(text));
        }
        return parsed;
    }();
    return networks;
}

} // namespace linkbal
