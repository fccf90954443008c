// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/host_port.h"

#include <charconv>

namespace linkbal {

std::optional<HostPort> split_host_port(std::string_view text) {
    if (!text.starts_with('[')) {
        const size_t colon = text.find(':');
        return colon == std::string_view::npos
                   ? HostPort{text, {}}
                   : HostPort{text.substr(0, colon), text.substr(colon + 1)};
    }
    const size_t end = text.find(']');
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    const auto host = text.substr(1, end - 1);
    const auto rest = text.substr(end + 1);
    if (rest.empty()) {
        return HostPort{host, {}, true};
    }
    return rest.starts_with(':') ? std::optional(HostPort{host, rest.substr(1), true})
                                 : std::nullopt;
}

std::optional<uint16_t> parse_port(std::string_view text) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && port != 0 ? std::optional(port) : std::nullopt;
}

} // namespace linkbal
