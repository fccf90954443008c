// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel settings and modules of an imported script.
#include <algorithm>
#include <array>

#include "core/import/read.h"
#include "core/import/words.h"

namespace linkbal {

namespace {

// Those that connection tracking has a helper module for, as [helpers] names them.
constexpr std::array<std::string_view, 10> helper_names{
    "amanda", "ftp", "h323", "irc", "netbios_ns", "pptp", "sane", "sip", "snmp", "tftp"};

// "ip_conntrack_ftp" and "nf_nat_ftp" are about "ftp".
std::string_view helper_of(std::string_view module) {
    for (const std::string_view prefix : {"ip_conntrack_", "nf_conntrack_", "ip_nat_", "nf_nat_"}) {
        const auto name =
            module.starts_with(prefix) ? module.substr(prefix.size()) : std::string_view();
        const auto* const found = std::ranges::find(helper_names, name);
        if (found != helper_names.end()) {
            return *found;
        }
    }
    return {};
}

bool is_filter_module(std::string_view module) {
    static constexpr std::array<std::string_view, 11> prefixes{
        "ip_tables", "ip6_tables", "iptable_", "ip6table_", "ipt_",     "ip6t_",
        "xt_",       "x_tables",   "ip_nat",   "nf_",       "nfnetlink"};
    return module.starts_with("ip_conntrack") || module.starts_with("nft_") ||
           std::ranges::any_of(prefixes, [&](auto prefix) { return module.starts_with(prefix); });
}

// modprobe's "ports=21,2121"
std::vector<uint16_t> module_ports(CommandWordSpan options) {
    std::vector<uint16_t> ports;
    for (const std::string& option : options) {
        const auto words = option.starts_with("ports=")
                               ? port_words(std::string_view(option).substr(6))
                               : std::nullopt;
        for (const PortRange& range : words.value_or(std::vector<PortRange>{})) {
            ports.push_back(range.first);
        }
    }
    std::ranges::sort(ports);
    const auto repeated = std::ranges::unique(ports);
    ports.erase(repeated.begin(), repeated.end());
    return ports;
}

} // namespace

void read_setting(std::string_view key, std::string_view value, size_t command,
                  ImportLedger& ledger) {
    if (key == "net/ipv4/ip_forward" || key == "net/ipv6/conf/all/forwarding" ||
        (key == "net/ipv4/icmp_echo_ignore_broadcasts" && value == "1")) {
        ledger.covered(command, "linkbal sets it while it is up");
    } else if (key.starts_with("net/ipv4/conf/") && key.ends_with("/rp_filter")) {
        ledger.covered(command, "linkbal sets what its links need");
    } else if (key == "net/ipv4/ip_dynaddr" || key == "net/ipv4/route/flush") {
        ledger.covered(command, "linkbal follows addresses and routes by itself");
    } else {
        ledger.left(command, "linkbal sets only what balancing needs: keep this in /etc/sysctl.d");
    }
}

void read_module(CommandWordSpan words, size_t command, ScriptFacts& facts, ImportLedger& ledger) {
    const auto name =
        std::ranges::find_if(words, [](const auto& w) { return !w.starts_with('-'); });
    if (name == words.end()) {
        ledger.left(command, "it names no module");
        return;
    }
    std::string module = name->substr(name->rfind('/') + 1);
    module = module.substr(0, module.find(".ko"));
    std::ranges::replace(module, '-', '_');
    if (std::string helper(helper_of(module)); !helper.empty()) {
        std::ranges::replace(helper, '_', '-');
        auto& ports = facts.helpers[helper];
        const auto given = module_ports(words.subspan(1));
        ports = ports.empty() ? given : ports;
        ledger.taken(command, "[helpers]");
    } else if (is_filter_module(module)) {
        ledger.covered(command, "the kernel loads it where it is needed");
    } else {
        ledger.left(command, "linkbal loads no modules of others: keep this in /etc/modules");
    }
}

} // namespace linkbal
