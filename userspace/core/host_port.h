// SPDX-License-Identifier: GPL-2.0-or-later
// Hosts and ports as they are written: "HOST", "HOST:PORT" and "[HOST]:PORT".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace linkbal {

struct HostPort {
    std::string_view host;
    std::optional<std::string_view> port; // whatever is behind the colon
    bool bracketed = false;
};

// Views of `text`, cut and not judged. An IPv6 address without brackets is cut at its first colon.
[[nodiscard]] std::optional<HostPort> split_host_port(std::string_view text);

// 1 to 65535, in decimal.
[[nodiscard]] std::optional<uint16_t> parse_port(std::string_view text);

} // namespace linkbal
