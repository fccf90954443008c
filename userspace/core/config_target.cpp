// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_target.h"

#include <array>

#include "core/config_values.h"
#include "core/host_port.h"

namespace linkbal {

namespace {

using namespace std::string_view_literals;

constexpr std::array probe_kinds{
    std::pair{"icmp"sv, ProbeKind::icmp}, std::pair{"tcp"sv, ProbeKind::tcp},
    std::pair{"dns"sv, ProbeKind::dns},   std::pair{"http"sv, ProbeKind::http},
    std::pair{"none"sv, ProbeKind::none},
};

std::string_view spelling(ProbeKind kind) {
    switch (kind) {
    case ProbeKind::tcp:
        return R"("ADDRESS:PORT", "[ADDRESS]:PORT" for IPv6, or "gateway:PORT")";
    case ProbeKind::dns:
        return R"(an address or "gateway", or "ADDRESS:PORT", "[ADDRESS]:PORT" or "gateway:PORT")";
    case ProbeKind::http:
        return R"("http://ADDRESS:PORT/PATH" with IPv6 in brackets and the last two optional)";
    default:
        return R"(an address or "gateway")";
    }
}

constexpr auto no_names =
    "a name would have to be resolved through the very link that is being judged"sv;

// 0 is right for icmp, which has no ports.
std::optional<uint16_t> port_of(ProbeKind kind, const std::optional<std::string_view>& text) {
    switch (kind) {
    case ProbeKind::tcp:
        return parse_port(text.value_or(""));
    case ProbeKind::dns:
        return parse_port(text.value_or("53"));
    case ProbeKind::http:
        return parse_port(text.value_or("80"));
    default:
        return text ? std::nullopt : std::optional<uint16_t>(0);
    }
}

bool is_name(const HostPort& place) {
    return !place.bracketed && place.host != "gateway" && is_domain_name(place.host) &&
           place.host.find_first_not_of("0123456789.") != std::string_view::npos &&
           place.port.value_or("").find_first_not_of("0123456789") == std::string_view::npos;
}

// The place without a path, if it is spelled as `kind` demands.
std::optional<ProbeTarget> parse_place(ProbeKind kind, std::string_view text) {
    if (const auto address = IpAddress::parse(text); // IPv6 without a port has no brackets
        address && is_unicast(*address) && (kind == ProbeKind::icmp || kind == ProbeKind::dns)) {
        return ProbeTarget{address, port_of(kind, {}).value_or(0), ""};
    }
    const auto place = split_host_port(text);
    const auto port = place ? port_of(kind, place->port) : std::nullopt;
    if (!port || (place->bracketed && kind == ProbeKind::icmp)) {
        return std::nullopt;
    }
    if (place->host == "gateway" && !place->bracketed) {
        return ProbeTarget{{}, *port, ""};
    }
    const auto address = IpAddress::parse(place->host);
    const auto family = place->bracketed ? Family::ipv6 : Family::ipv4;
    if (!address || address->family() != family || !is_unicast(*address)) {
        return std::nullopt;
    }
    return ProbeTarget{address, *port, ""};
}

// Splits off the path, which is what goes into the request as it is.
std::optional<std::string> take_path(std::string_view& text) {
    const size_t slash = std::min(text.find('/'), text.size());
    const auto path = text.substr(slash);
    text = text.substr(0, slash);
    const auto foreign = [](char c) { return c <= ' ' || c > '~' || c == '#'; };
    if (std::ranges::any_of(path, foreign)) {
        return std::nullopt;
    }
    return std::string(path.empty() ? "/" : path);
}

Parsed<ProbeTarget> parse_target(ProbeKind kind, std::string_view expected,
                                 const toml::node& node) {
    const auto refuse = [&](std::string_view reason) {
        return tl::unexpected(
            fmt::format("expected {}, found {}: {}", expected, describe(node), reason));
    };
    const auto whole = plain_text(node).value_or("");
    std::string_view text = whole;
    std::optional<std::string> path("");
    if (kind == ProbeKind::http) {
        if (text.starts_with("https://")) {
            return refuse(fmt::format("certificates are for names, and {}", no_names));
        }
        if (!text.starts_with("http://")) {
            return mismatch(expected, node);
        }
        text.remove_prefix("http://"sv.size());
        path = take_path(text);
    }
    auto target = parse_place(kind, text);
    if (target && path) {
        target->path = std::move(*path);
        return *target;
    }
    const auto place = split_host_port(text);
    return place && is_name(*place) ? refuse(no_names) : mismatch(expected, node);
}

} // namespace

std::string_view probe_name(ProbeKind kind) {
    return std::ranges::find(probe_kinds, kind, &decltype(probe_kinds)::value_type::second)->first;
}

ValueKind<ProbeKind> probe_kind() { return choice<ProbeKind>(probe_kinds); }

ValueKind<ProbeTarget> probe_target(ProbeKind kind) {
    const std::string expected(spelling(kind));
    return {expected, [kind, expected](const toml::node& node) {
                return parse_target(kind, expected, node);
            }};
}

} // namespace linkbal
