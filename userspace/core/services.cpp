// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/services.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/host_port.h"

namespace linkbal {

namespace {

ServicePorts tcp(uint16_t first, uint16_t last) { return {Transport::tcp, {first, last}}; }
ServicePorts tcp(uint16_t port) { return tcp(port, port); }
ServicePorts udp(uint16_t first, uint16_t last) { return {Transport::udp, {first, last}}; }
ServicePorts udp(uint16_t port) { return udp(port, port); }

} // namespace

std::span<const Service> known_services() {
    static const std::vector<Service> services{
        {"dhcp", {udp(67)}},
        {"dhcpv6", {udp(547)}},
        {"dns", {tcp(53), udp(53)}},
        {"dns-over-tls", {tcp(853)}},
        {"ftp", {tcp(21)}},
        {"http", {tcp(80)}},
        {"http3", {udp(443)}},
        {"https", {tcp(443)}},
        {"ike", {udp(500), udp(4500)}},
        {"imap", {tcp(143)}},
        {"imaps", {tcp(993)}},
        {"mdns", {udp(5353)}},
        {"mqtt", {tcp(1883)}},
        {"mqtts", {tcp(8883)}},
        {"nfs", {tcp(2049)}},
        {"ntp", {udp(123)}},
        {"openvpn", {udp(1194)}},
        {"pop3", {tcp(110)}},
        {"pop3s", {tcp(995)}},
        {"proxy", {tcp(3128)}},
        {"radius", {udp(1812, 1813)}},
        {"rdp", {tcp(3389), udp(3389)}},
        {"rsync", {tcp(873)}},
        {"sip", {tcp(5060), udp(5060)}},
        {"sips", {tcp(5061)}},
        {"smb", {tcp(445)}},
        {"smtp", {tcp(25)}},
        {"smtps", {tcp(465)}},
        {"snmp", {udp(161)}},
        {"ssh", {tcp(22)}},
        {"submission", {tcp(587)}},
        {"syslog", {udp(514)}},
        {"tftp", {udp(69)}},
        {"vnc", {tcp(5900, 5909)}},
        {"wireguard", {udp(51820)}},
    };
    return services;
}

const Service* find_service(std::string_view name) {
    const auto services = known_services();
    const auto found = std::ranges::lower_bound(services, name, {}, &Service::name);
    return found != services.end() && found->name == name ? &*found : nullptr;
}

const IpProtocol* find_protocol(std::string_view name) {
    const auto* const found = std::ranges::find(known_protocols, name, &IpProtocol::name);
    return found != known_protocols.end() ? found : nullptr;
}

std::string_view protocol_name(uint8_t number) {
    const auto* const found = std::ranges::find(known_protocols, number, &IpProtocol::number);
    return found != known_protocols.end() ? found->name : "";
}

std::string_view transport_name(Transport transport) {
    return transport == Transport::tcp ? "tcp" : "udp";
}

std::optional<Transport> parse_transport(std::string_view text) {
    const auto* const found = std::ranges::find(transports, text, transport_name);
    return found == transports.end() ? std::nullopt : std::optional(*found);
}

std::optional<PortRange> parse_ports(std::string_view text) {
    const size_t dash = std::min(text.find('-'), text.size());
    const auto first = parse_port(text.substr(0, dash));
    const auto last = dash == text.size() ? first : parse_port(text.substr(dash + 1));
    if (!first || !last || *last < *first) {
        return std::nullopt;
    }
    return PortRange{*first, *last};
}

std::optional<ServicePorts> parse_service_ports(std::string_view text) {
    const size_t slash = std::min(text.find('/'), text.size());
    const auto ports = parse_ports(text.substr(0, slash));
    const auto transport = parse_transport(text.substr(std::min(slash + 1, text.size())));
    if (!ports || !transport) {
        return std::nullopt;
    }
    return ServicePorts{*transport, *ports};
}

std::string ports_text(const PortRange& ports) {
    return ports.first == ports.last ? fmt::format("{}", ports.first)
                                     : fmt::format("{}-{}", ports.first, ports.last);
}

std::string service_text(const ServicePorts& service) {
    return fmt::format("{}/{}", ports_text(service.ports), transport_name(service.transport));
}

bool overlap(const PortRange& a, const PortRange& b) {
    return a.first <= b.last && b.first <= a.last;
}

bool overlap(const ServicePorts& a, const ServicePorts& b) {
    return a.transport == b.transport && overlap(a.ports, b.ports);
}

} // namespace linkbal
