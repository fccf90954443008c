// SPDX-License-Identifier: GPL-2.0-or-later
// What FORWARD lets through of that which a DNAT sends to a host.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/import/model.h"

namespace linkbal {

// "192.168.0.10", "192.168.0.10:80", "[2001:db8::1]:80"; the port may be a range.
struct Destination {
    std::optional<IpAddress> address;
    std::optional<PortRange> port;
};
[[nodiscard]] Destination destination_of(std::string_view text);

// The host's ports, of each range outside as many; none: there are more or fewer.
[[nodiscard]] std::optional<std::vector<PortRange>> inside_ports(const PacketRule& dnat);

// Connections that get through: those that come by one of the uplinks (empty: by any), from one of the
// networks (empty: from anywhere).
struct Grant {
    std::vector<std::string> uplinks;
    std::vector<Prefix> from;
};

// All that the DNAT asks for.
[[nodiscard]] Grant whole_grant(const PacketRule& dnat, const std::vector<std::string>& uplinks);

// Whether one of the first `end` rules refuses some of what the DNAT forwards by `accept`; without it, at
// all.
[[nodiscard]] bool is_refused(std::span<const PacketRule> rules, size_t end,
                              const PacketRule* accept, const PacketRule& dnat,
                              const ImportModel& model);

// What rules[number] accepts of it, on all its ports; none: nothing, or not on all of them, or not all,
// because an earlier rule of the chain refuses some.
[[nodiscard]] std::optional<Grant> grant_of(std::span<const PacketRule> rules, size_t number,
                                            const PacketRule& dnat,
                                            const std::vector<std::string>& uplinks,
                                            const ImportModel& model);

// What the whole of FORWARD accepts, where it can be said in one piece.
[[nodiscard]] std::optional<Grant> forward_grant(const ScriptFacts& facts, const PacketRule& dnat,
                                                 const std::vector<std::string>& uplinks,
                                                 const ImportModel& model);

} // namespace linkbal
