// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of values in [firewall], [[forward]] and [helpers].
#pragma once

#include <variant>

#include "core/toml_reader.h"

namespace linkbal {

// A name of core/services.h, "PORT/tcp" or "FIRST-LAST/udp": ports, or the number of a protocol.
using AllowedService = std::variant<std::vector<ServicePorts>, uint8_t>;
[[nodiscard]] ValueKind<AllowedService> service();
[[nodiscard]] bool overlap_any(const AllowedService& a, const AllowedService& b);

// "lan", "uplinks" or a network.
enum class OriginWord : uint8_t { lan, uplinks };
using Origin = std::variant<OriginWord, Prefix>;
[[nodiscard]] ValueKind<Origin> origin();
[[nodiscard]] bool same_origin(const Origin& a, const Origin& b);
[[nodiscard]] Origins combine(const std::vector<Origin>& origins);

// "N/second", "N/minute" or "N/hour".
[[nodiscard]] ValueKind<ConnectionRate> connection_rate();

// PORT, "PORT" or "FIRST-LAST".
[[nodiscard]] ValueKind<PortRange> port_range();

[[nodiscard]] ValueKind<Transport> transport();

// "ADDRESS", "ADDRESS:PORT" or "[ADDRESS]:PORT" of a host that packets can be forwarded to.
struct ForwardTarget {
    IpAddress address;
    std::optional<uint16_t> port;
};
[[nodiscard]] ValueKind<ForwardTarget> forward_target();

// An address that hosts of the LAN can reach through the gateway.
[[nodiscard]] ValueKind<IpAddress> dns_server();

[[nodiscard]] ValueKind<FirewallLog> firewall_log();

// 1 to 40 characters for lines of the kernel's log; 1 to 60 bytes for comments.
[[nodiscard]] ValueKind<std::string> log_prefix();
[[nodiscard]] ValueKind<std::string> comment_text();

// "auto", "off" or a number of bytes.
[[nodiscard]] ValueKind<MssConfig> segment_size();

} // namespace linkbal
