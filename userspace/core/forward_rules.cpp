// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/forward_rules.h"

#include <algorithm>
#include <iterator>
#include <string>

#include <fmt/format.h>

namespace linkbal {

namespace {

constexpr int32_t destination_nat = -100;

std::string outside_set(Family family) { return family == Family::ipv4 ? "outside4" : "outside6"; }

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

std::vector<std::vector<NftPart>> lan_origins(const ForwardConfig& forward,
                                              const NetfilterState& state) {
    const Family family = forward.to->family();
    if (!forward.hairpin) {
        return {};
    }
    return {{OnDevices{Direction::in, state.lan_devices},
             InSet{AddressField::destination, family, outside_set(family), false}}};
}

} // namespace

void append_forwards(NftRuleset& ruleset, const NetfilterState& state) {
    for (const Family family : families) {
        PrefixSet outside{outside_set(family), family, {}};
        for (const auto& address : state.uplink_addresses) {
            if (address.family() == family) {
                outside.networks.emplace_back(address, address.bits());
            }
        }
        if (has_hairpin(state)) {
            ruleset.sets.emplace_back(std::move(outside));
        }
    }
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
