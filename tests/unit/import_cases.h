// SPDX-License-Identifier: GPL-2.0-or-later
// Scripts as data: what becomes of a command, and what is written for it.
#pragma once

#include <string>
#include <vector>

#include <fmt/ranges.h>

#include "config_cases.h"
#include "core/import/import.h"

namespace linkbal::test {

// Two links that balance, as short as can be; the LAN is 192.168.0.0/24 on eth0.
inline const std::string links =
    "ip route add default via 192.168.1.1 dev eth1 src 192.168.1.2 table t1\n"
    "ip route add default via 192.168.2.1 dev eth2 src 192.168.2.2 table t2\n"
    "ip route add default table t nexthop via 192.168.1.1 dev eth1 weight 1 "
    "nexthop via 192.168.2.1 dev eth2 weight 1\n"
    "ip rule add fwmark 3 table t\n"
    "iptables -t mangle -A PREROUTING -i eth0 -s 192.168.0.0/24 -j MARK --set-mark 3\n"
    "iptables -t nat -A POSTROUTING -s 192.168.0.0/24 -j MASQUERADE\n";
// And a gateway that is closed but to what the LAN begins.
inline const std::string closed = links +
                                  "iptables -P INPUT DROP\niptables -P FORWARD DROP\n"
                                  "iptables -A FORWARD -i eth0 -s 192.168.0.0/24 -j ACCEPT\n";

struct ImportCase {
    std::string commands; // behind the links; the last one is judged
    std::string fate;     // "taken: ping"
    std::string written;  // somewhere in the configuration
};

inline std::string last_fate(const ImportResult& result) {
    static const std::vector<std::string> fates{"covered", "taken", "differs", "left"};
    REQUIRE_FALSE(result.commands.empty());
    const ImportedCommand& last = result.commands.back();
    return fmt::format("{}: {}", fates.at(static_cast<size_t>(last.fate)),
                       fmt::join(last.remarks, "; "));
}

inline std::vector<std::string> mistakes_of(const std::string& text) {
    const auto config = accept_config(text, "f.toml");
    return config ? std::vector<std::string>{} : lines_of(config.error());
}

inline void check_imports(const std::string& before, const std::vector<ImportCase>& cases) {
    for (const ImportCase& item : cases) {
        INFO(item.commands);
        const auto result = import_script(before + item.commands);
        CHECK(last_fate(result) == item.fate);
        const auto text = import_toml(result, "x");
        INFO(text);
        CHECK(mistakes_of(text) == std::vector<std::string>{});
        CHECK(text.find(item.written) != std::string::npos);
    }
}

} // namespace linkbal::test
