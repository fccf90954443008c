// SPDX-License-Identifier: GPL-2.0-or-later
// Names of services that a gateway has or forwards, and how ports are written.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/firewall_config.h"

namespace linkbal {

struct Service {
    std::string_view name;
    std::vector<ServicePorts> ports;
};

// By name. A table of our own: /etc/services differs from machine to machine, and most of its names
// are of another age.
[[nodiscard]] std::span<const Service> known_services();
[[nodiscard]] const Service* find_service(std::string_view name);

// Services that are a protocol of IP by themselves, without ports.
struct IpProtocol {
    std::string_view name;
    uint8_t number = 0;
};
inline constexpr std::array known_protocols{
    IpProtocol{"ah", 51},  IpProtocol{"esp", 50},  IpProtocol{"gre", 47},
    IpProtocol{"igmp", 2}, IpProtocol{"ospf", 89}, IpProtocol{"vrrp", 112},
};
[[nodiscard]] const IpProtocol* find_protocol(std::string_view name);
// Of a known one.
[[nodiscard]] std::string_view protocol_name(uint8_t number);

// "tcp"
[[nodiscard]] std::string_view transport_name(Transport transport);
[[nodiscard]] std::optional<Transport> parse_transport(std::string_view text);

// "8000" or "8000-8010", the lower one first.
[[nodiscard]] std::optional<PortRange> parse_ports(std::string_view text);
// "8443/tcp" or "5000-5010/udp"
[[nodiscard]] std::optional<ServicePorts> parse_service_ports(std::string_view text);
// As the two above take it.
[[nodiscard]] std::string ports_text(const PortRange& ports);
[[nodiscard]] std::string service_text(const ServicePorts& service);

[[nodiscard]] bool overlap(const PortRange& a, const PortRange& b);
[[nodiscard]] bool overlap(const ServicePorts& a, const ServicePorts& b);

} // namespace linkbal
