// SPDX-License-Identifier: GPL-2.0-or-later
// Values as ip(8), iptables(8) and their like spell them on a command line.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/firewall_config.h"

namespace linkbal {

// Decimal or 0x.
[[nodiscard]] std::optional<uint32_t> number_word(std::string_view word);

// ADDRESS[/LENGTH] or ADDRESS/NETMASK, host bits allowed; "0/0", "any", "default" and "all" are the
// whole of `family`.
[[nodiscard]] std::optional<Prefix> network_word(std::string_view word, Family family);

// "80", "8000:8010", "1024:", "ssh"; ranges may also have a "-".
[[nodiscard]] std::optional<PortRange> port_word(std::string_view word);
// Several, with commas.
[[nodiscard]] std::optional<std::vector<PortRange>> port_words(std::string_view word);

// A name that a device can have and that a configuration takes: letters, digits, ".", "_", "-", "@".
[[nodiscard]] bool is_device_word(std::string_view word);
// The same for the names of uplinks and tables; numbers and the system's tables are none.
[[nodiscard]] bool is_table_word(std::string_view word);

[[nodiscard]] std::vector<std::string_view> split_words(std::string_view text,
                                                        std::string_view separators);

} // namespace linkbal
