// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/dhcp/radvd.h"

#include <fmt/format.h>

#include "core/dhcp/lan.h"

namespace linkbal {

namespace {

std::string_view on_or_off(bool on) { return on ? "on" : "off"; }

// "::/64" stands for every such prefix that the interface has, now and later.
std::string interface_block(const std::string& name, AdvertisementMode mode,
                            const std::string& dns) {
    return fmt::format("interface {}\n"
                       "{{\n"
                       "    AdvSendAdvert on;\n"
                       "    AdvManagedFlag {};\n"
                       "    AdvOtherConfigFlag {};\n"
                       "    prefix ::/64\n"
                       "    {{\n"
                       "        AdvOnLink on;\n"
                       "        AdvAutonomous {};\n"
                       "    }};\n"
                       "{}"
                       "}};\n",
                       name, on_or_off(mode == AdvertisementMode::managed),
                       on_or_off(mode != AdvertisementMode::slaac),
                       on_or_off(mode != AdvertisementMode::managed), dns);
}

// Hosts that make their own address ask nobody else for this.
std::string dns_options(const DhcpConfig& dhcp) {
    std::string text;
    std::string servers;
    for (const IpAddress& server : of_family(dhcp.dns_servers, Family::ipv6)) {
        servers += " " + server.str();
    }
    if (!servers.empty()) {
        text += fmt::format("    RDNSS{}\n    {{\n    }};\n", servers);
    }
    if (dhcp.domain) {
        text += fmt::format("    DNSSL {}\n    {{\n    }};\n", *dhcp.domain);
    }
    return text;
}

} // namespace

DhcpFile radvd_file(const Config& config) {
    const DhcpConfig& dhcp = *config.dhcp;
    auto text = fmt::format("# {}\n", dhcp_signature);
    for (const std::string& name : config.lan.interfaces) {
        text += interface_block(name, *dhcp.ipv6, dns_options(dhcp));
    }
    return {dhcp.file.value_or("/etc") + "/radvd.conf",
            std::move(text),
            {"radvd", "--configtest", "--config"},
            "radvd",
            "radvd"};
}

} // namespace linkbal
