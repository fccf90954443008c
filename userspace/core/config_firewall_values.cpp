// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_firewall_values.h"

#include <array>
#include <charconv>

#include "core/config_values.h"
#include "core/host_port.h"
#include "core/services.h"
#include "core/suggest.h"

namespace linkbal {

namespace {

using namespace std::string_view_literals;

constexpr std::array log_words{
    std::pair{"fragments"sv, FirewallLog::fragments}, std::pair{"spoofed"sv, FirewallLog::spoofed},
    std::pair{"invalid"sv, FirewallLog::invalid},     std::pair{"input"sv, FirewallLog::input},
    std::pair{"forward"sv, FirewallLog::forward},
};
constexpr std::array transport_words{
    std::pair{"tcp"sv, Transport::tcp},
    std::pair{"udp"sv, Transport::udp},
};
using RateUnit = ConnectionRate::Unit;
constexpr std::array rate_units{
    std::pair{"second"sv, RateUnit::second},
    std::pair{"minute"sv, RateUnit::minute},
    std::pair{"hour"sv, RateUnit::hour},
};
constexpr uint32_t highest_rate = 10000;

// --- services -----------------------------------------------------------------------------------

constexpr auto service_rule =
    R"(the name of a service or ports as "8443/tcp" or "5000-5010/udp")"sv;

std::vector<std::string> service_names() {
    std::vector<std::string> names;
    for (const Service& service : known_services()) {
        names.emplace_back(service.name);
    }
    for (const IpProtocol& protocol : known_protocols) {
        names.emplace_back(protocol.name);
    }
    std::ranges::sort(names);
    return names;
}

// Names have a letter in front, ports a digit.
bool is_like_ports(std::string_view text) {
    return text.find_first_of("0123456789") == 0 || text.find('/') != std::string_view::npos;
}

Parsed<AllowedService> parse_service(const toml::node& node) {
    const auto text = plain_text(node).value_or("");
    if (const Service* known = find_service(text)) {
        return known->ports;
    }
    if (const IpProtocol* protocol = find_protocol(text)) {
        return protocol->number;
    }
    if (const auto ports = parse_service_ports(text)) {
        return std::vector{*ports};
    }
    if (text.empty() || is_like_ports(text)) {
        return mismatch(service_rule, node);
    }
    const auto names = service_names();
    const auto nearest = nearest_word(text, names);
    return tl::unexpected(fmt::format(
        "expected {}, found {:?}, {}", service_rule, text,
        nearest ? fmt::format("did you mean {:?}?", *nearest)
                : fmt::format("which is none of the names {}", fmt::join(names, ", "))));
}

// --- rates --------------------------------------------------------------------------------------

std::optional<ConnectionRate> parse_rate(std::string_view text) {
    const size_t slash = std::min(text.find('/'), text.size());
    const auto unit = text.substr(std::min(slash + 1, text.size()));
    const auto* const entry =
        std::ranges::find(rate_units, unit, &decltype(rate_units)::value_type::first);
    const auto digits = text.substr(0, slash);
    uint32_t count = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (entry == rate_units.end() || error != std::errc{} || end != digits.data() + digits.size() ||
        count == 0 || count > highest_rate) {
        return std::nullopt;
    }
    return ConnectionRate{count, entry->second};
}

// --- addresses ----------------------------------------------------------------------------------

// What is of link scope is never forwarded.
bool is_routable(const IpAddress& address) {
    return is_unicast(address) && !address.is_link_local();
}

std::optional<ForwardTarget> parse_target(std::string_view text) {
    if (const auto address = IpAddress::parse(text)) { // IPv6 without a port has no brackets
        return is_routable(*address) ? std::optional(ForwardTarget{*address, {}}) : std::nullopt;
    }
    const auto place = split_host_port(text);
    const auto address = place ? IpAddress::parse(place->host) : std::nullopt;
    const auto port = place && place->port ? parse_port(*place->port) : std::nullopt;
    if (!address || !port || !is_routable(*address) ||
        (address->family() == Family::ipv6) != place->bracketed) {
        return std::nullopt;
    }
    return ForwardTarget{*address, port};
}

// --- text ---------------------------------------------------------------------------------------

// Control characters would break the line that the text ends up in, and nft(8) has no way to write
// a quote in a string.
ValueKind<std::string> quotable_text(const std::string& expected, size_t longest, bool ascii) {
    return {expected, [=](const toml::node& node) -> Parsed<std::string> {
                auto text = node.value<std::string>().value_or("");
                const auto foreign = [&](char c) {
                    const auto byte = static_cast<unsigned char>(c);
                    return byte < ' ' || c == '"' || byte == 0x7f || (ascii && byte > 0x7f);
                };
                if (text.empty() || text.size() > longest || std::ranges::any_of(text, foreign)) {
                    return mismatch(expected, node);
                }
                return text;
            }};
}

// A kind whose values are found in strings by `parse`.
template <typename T>
ValueKind<T> text_kind(std::string_view expected, std::optional<T> (*parse)(std::string_view)) {
    return {std::string(expected),
            [expected = std::string(expected), parse](const toml::node& node) -> Parsed<T> {
                if (const auto value = parse(plain_text(node).value_or(""))) {
                    return *value;
                }
                return mismatch(expected, node);
            }};
}

} // namespace

ValueKind<AllowedService> service() { return {std::string(service_rule), parse_service}; }

bool overlap_any(const AllowedService& a, const AllowedService& b) {
    const auto* const ports = std::get_if<std::vector<ServicePorts>>(&a);
    const auto* const others = std::get_if<std::vector<ServicePorts>>(&b);
    if (ports == nullptr || others == nullptr) {
        return a == b;
    }
    return std::ranges::any_of(*ports, [&](const ServicePorts& one) {
        return std::ranges::any_of(*others,
                                   [&](const ServicePorts& other) { return overlap(one, other); });
    });
}

ValueKind<Origin> origin() {
    const std::string expected = R"("lan", "uplinks" or a network as "ADDRESS/LENGTH")";
    return {expected, [expected](const toml::node& node) -> Parsed<Origin> {
                const auto word = plain_text(node).value_or("");
                if (word == "lan" || word == "uplinks") {
                    return word == "lan" ? OriginWord::lan : OriginWord::uplinks;
                }
                if (word.find('/') == std::string::npos) {
                    return mismatch(expected, node);
                }
                return network().parse(node).map([](const Prefix& found) { return Origin(found); });
            }};
}

bool same_origin(const Origin& a, const Origin& b) {
    const auto* const network = std::get_if<Prefix>(&a);
    const auto* const other = std::get_if<Prefix>(&b);
    return network != nullptr && other != nullptr ? network->overlaps(*other) : a == b;
}

Origins combine(const std::vector<Origin>& origins) {
    Origins all;
    for (const Origin& origin : origins) {
        if (const auto* network = std::get_if<Prefix>(&origin)) {
            all.networks.push_back(*network);
        } else {
            (std::get<OriginWord>(origin) == OriginWord::lan ? all.lan : all.uplinks) = true;
        }
    }
    return all;
}

ValueKind<ConnectionRate> connection_rate() {
    return text_kind("a rate as \"10/minute\": 1 to 10000 connections in a second, minute or hour",
                     parse_rate);
}

ValueKind<PortRange> port_range() {
    const std::string expected = R"(a port from 1 to 65535 or a range of them as "8000-8010")";
    return {expected, [expected](const toml::node& node) -> Parsed<PortRange> {
                const auto* const number = node.as_integer();
                const auto text = number != nullptr ? fmt::format("{}", number->get())
                                                    : plain_text(node).value_or("");
                if (const auto ports =
                        number == nullptr || number->get() > 0 ? parse_ports(text) : std::nullopt) {
                    return *ports;
                }
                return mismatch(expected, node);
            }};
}

ValueKind<Transport> transport() { return choice<Transport>(transport_words); }

ValueKind<ForwardTarget> forward_target() {
    return text_kind(R"(the address of a host of the LAN, as "ADDRESS", "ADDRESS:PORT" or )"
                     R"("[ADDRESS]:PORT" for IPv6)",
                     parse_target);
}

ValueKind<IpAddress> dns_server() {
    return text_kind<IpAddress>(
        "the address of a DNS server that hosts of the LAN can reach", [](std::string_view text) {
            const auto address = IpAddress::parse(text);
            return address && is_routable(*address) ? address : std::nullopt;
        });
}

ValueKind<FirewallLog> firewall_log() { return choice<FirewallLog>(log_words); }

ValueKind<std::string> log_prefix() {
    return quotable_text("1 to 40 printable ASCII characters without quotes", 40, true);
}

ValueKind<std::string> comment_text() {
    return quotable_text("1 to 60 bytes without quotes and control characters", 60, false);
}

ValueKind<MssConfig> segment_size() {
    const std::string expected = R"("auto", "off" or an integer from 536 to 9000)";
    return {expected, [expected](const toml::node& node) -> Parsed<MssConfig> {
                const auto word = node.value<std::string_view>().value_or("");
                if (word == "auto" || word == "off") {
                    return MssConfig{
                        word == "off" ? MssConfig::Mode::off : MssConfig::Mode::automatic, 0};
                }
                const auto size = integer(536, 9000).parse(node);
                if (!size) {
                    return mismatch(expected, node);
                }
                return MssConfig{MssConfig::Mode::fixed, static_cast<uint16_t>(*size)};
            }};
}

} // namespace linkbal
