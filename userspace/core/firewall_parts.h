// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules of [firewall] share: private to those that make them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "core/firewall_rules.h"

namespace linkbal {

inline constexpr std::string_view lan_set = "lan";
inline constexpr uint16_t dhcp_server_port = 67;

// What a kind of packets that are dropped is called.
struct DropReason {
    std::string_view name; // of counter and chain
    std::string_view word; // in the log
    FirewallLog log;
};
inline constexpr DropReason in_pieces{"fragments", "fragment", FirewallLog::fragments};
inline constexpr DropReason spoofed{"spoofed", "spoofed", FirewallLog::spoofed};
inline constexpr DropReason invalid{"invalid", "invalid", FirewallLog::invalid};
inline constexpr DropReason input{"input", "input", FirewallLog::input};
inline constexpr DropReason forward{"forward", "forward", FirewallLog::forward};

inline std::string chain_of(const DropReason& reason) {
    return fmt::format("drop_{}", reason.name);
}
inline std::string counter_of(std::string_view name) {
    return fmt::format("{}{}", firewall_prefix, name);
}
inline GoTo refuse(const DropReason& reason) { return {chain_of(reason)}; }

// "lan4", "lan6"
inline std::string name_of(std::string_view set, Family family) {
    return fmt::format("{}{}", set, family == Family::ipv4 ? 4 : 6);
}

// A set for each family.
void append_prefixes(NftRuleset& ruleset, std::string_view name,
                     const std::vector<Prefix>& networks);

// To the gateway as a DHCP client, from whatever address. A request that was sent to everybody opens no
// connection that its answers could be of.
std::vector<NftPart> dhcp_answer(Family family);

// iifname { uplinks }, those that have only open connections left included.
NftPart from_uplinks(const NetfilterState& state);

} // namespace linkbal
