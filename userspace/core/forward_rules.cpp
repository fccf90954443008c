// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/forward_rules.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>

#include <fmt/format.h>

namespace linkbal {

namespace {

constexpr int32_t destination_nat = -100;

// The gateway's addresses on one uplink, or on all.
std::string outside_set(Family family, const std::string& uplink = "") {
    return fmt::format("outside{}{}{}", family == Family::ipv4 ? 4 : 6, uplink.empty() ? "" : "_",
                       uplink);
}

bool has_hairpin(const NetfilterState& state) {
    return std::ranges::any_of(state.forwards, &ForwardConfig::hairpin);
}

// Where its connections come from: without names, every uplink that takes new ones.
std::vector<std::string> devices_of(const ForwardConfig& forward, const NetfilterState& state) {
    std::vector<std::string> devices;
    for (const auto& uplink : state.uplinks) {
        const bool named = forward.uplinks.empty() ||
                           std::ranges::find(forward.uplinks, uplink.name) != forward.uplinks.end();
        if (!uplink.retired && named) {
            devices.push_back(uplink.device);
        }
    }
    return devices;
}

// A part of a forward that one rule can do.
struct Mapping {
    Transport transport;
    PortRange outside;
    std::optional<uint16_t> inside;
};

// The kernel takes any free port of a range that it maps to, not the one of the same place: a range
// that is moved is a rule for each port.
std::vector<Mapping> mappings_of(const ForwardConfig& forward) {
    std::vector<Mapping> mappings;
    const auto& [first, last] = forward.port;
    for (const Transport transport : forward.protocols) {
        if (!forward.to_port || *forward.to_port == first) {
            mappings.push_back({transport, forward.port, std::nullopt});
            continue;
        }
        for (uint32_t port = first; port <= last; ++port) {
            const auto outside = static_cast<uint16_t>(port);
            const auto inside = static_cast<uint16_t>(*forward.to_port + port - first);
            mappings.push_back({transport, {outside, outside}, inside});
        }
    }
    return mappings;
}

// `origins`: each is a row of matches, one of which must hold.
void append_mappings(NftChain& chain, const ForwardConfig& forward,
                     const std::vector<std::vector<NftPart>>& origins) {
    for (const auto& origin : origins) {
        for (const auto& [transport, outside, inside] : mappings_of(forward)) {
            NftRule rule{origin, forward.name};
            rule.parts.emplace_back(ToPorts{transport, {outside}});
            rule.parts.emplace_back(MapDestination{*forward.to, inside});
            chain.rules.push_back(std::move(rule));
        }
    }
}

// Only what is for the gateway's own addresses: other destinations are routed networks.
std::vector<std::vector<NftPart>> outside_origins(const ForwardConfig& forward,
                                                  const NetfilterState& state) {
    const auto devices = devices_of(forward, state);
    if (devices.empty()) {
        return {};
    }
    const std::vector<NftPart> by_uplink{OnDevices{Direction::in, devices},
                                         IsLocal{AddressField::destination}};
    if (forward.from.empty()) {
        return {by_uplink};
    }
    std::vector<std::vector<NftPart>> origins;
    for (const auto& network : forward.from) {
        origins.push_back(by_uplink);
        origins.back().emplace_back(FromNetwork{network});
    }
    return origins;
}

// By the addresses of the uplinks that it is for.
std::vector<std::vector<NftPart>> lan_origins(const ForwardConfig& forward,
                                              const NetfilterState& state) {
    const Family family = forward.to->family();
    const OnDevices by_lan{Direction::in, state.lan_devices};
    const auto to = [&](const std::string& set) {
        return std::vector<NftPart>{by_lan, InSet{AddressField::destination, family, set, false}};
    };
    if (!forward.hairpin) {
        return {};
    }
    if (forward.uplinks.empty()) {
        return {to(outside_set(family))};
    }
    std::vector<std::vector<NftPart>> origins;
    for (const auto& uplink : forward.uplinks) {
        origins.push_back(to(outside_set(family, uplink)));
    }
    return origins;
}

// Of all uplinks if `uplink` is empty.
PrefixSet addresses_of(const NetfilterState& state, Family family, const std::string& uplink) {
    PrefixSet outside{outside_set(family, uplink), family, {}};
    for (const auto& known : state.uplink_addresses) {
        if (known.address.family() == family && (uplink.empty() || known.uplink == uplink)) {
            outside.networks.emplace_back(known.address, known.address.bits());
        }
    }
    outside.networks = outermost(std::move(outside.networks));
    return outside;
}

// One for each that a hairpin refers to.
void append_address_sets(NftRuleset& ruleset, const NetfilterState& state) {
    std::set<std::string> wanted;
    for (const auto& forward : state.forwards) {
        if (forward.hairpin && forward.uplinks.empty()) {
            wanted.insert("");
        } else if (forward.hairpin) {
            wanted.insert(forward.uplinks.begin(), forward.uplinks.end());
        }
    }
    for (const auto& uplink : wanted) {
        for (const Family family : families) {
            ruleset.sets.emplace_back(addresses_of(state, family, uplink));
        }
    }
}

} // namespace

void append_forwards(NftRuleset& ruleset, const NetfilterState& state) {
    append_address_sets(ruleset, state);
    NftChain chain{
        "nat_forward",
        "connections from outside to hosts of the LAN",
        NftHook{NftChainType::nat, NftHookPoint::prerouting, destination_nat, NftPolicy::accept},
        {}};
    for (const auto& forward : state.forwards) {
        append_mappings(chain, forward, outside_origins(forward, state));
        append_mappings(chain, forward, lan_origins(forward, state));
    }
    ruleset.chains.push_back(std::move(chain));
}

std::vector<NftRule> hairpin_rules(const NetfilterState& state) {
    if (!has_hairpin(state)) {
        return {};
    }
    return {{{OnDevices{Direction::in, state.lan_devices},
              OnDevices{Direction::out, state.lan_devices}, WithDestinationMapped{}, Masquerade{}},
             "back into the LAN: answers come by us"}};
}

} // namespace linkbal
