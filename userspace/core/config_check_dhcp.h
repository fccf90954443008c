// SPDX-License-Identifier: GPL-2.0-or-later
// Judges [dhcp].
#pragma once

#include "core/config_findings.h"
#include "core/dhcp/config.h"

namespace linkbal {

// Against itself and the rest of the file: part of check_config().
void check_dhcp(const Config& config, Findings& findings);

// Against the addresses of this machine: part of check_system().
void check_dhcp_system(const Config& config, const Facts& facts, Findings& findings);

// The same alone, for those who do nothing but DHCP.
[[nodiscard]] std::vector<ConfigError> check_dhcp_system(const Config& config, const Facts& facts,
                                                         std::string_view file);

// "dhcp.range[1].first", "dhcp.host[0].mac"
[[nodiscard]] std::string range_path(size_t index, std::string_view key);
[[nodiscard]] std::string host_path(size_t index, std::string_view key);

// "192.168.0.10 - 192.168.0.250"
[[nodiscard]] std::string text_of(const DhcpRangeConfig& range);
[[nodiscard]] bool covers(const DhcpRangeConfig& range, const IpAddress& address);

// Ends and router of a range in one network of `networks`, which are called `what`: "a network of the
// LAN". Returns that network; nullptr where there is none.
const Prefix* check_range_within(const DhcpRangeConfig& range, size_t index,
                                 const std::vector<Prefix>& networks, std::string_view what,
                                 Findings& findings);

} // namespace linkbal
