// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/dhcp/files.h"

#include "core/dhcp/dnsmasq.h"
#include "core/dhcp/kea.h"
#include "core/dhcp/radvd.h"

namespace linkbal {

namespace {

std::vector<DhcpFile> files_for_kea(const Config& config, const std::vector<DhcpSubnet>& subnets) {
    std::vector<DhcpFile> files{kea4_file(*config.dhcp, subnets)};
    const auto& mode = config.dhcp->ipv6;
    if (mode && mode != AdvertisementMode::slaac) {
        files.push_back(kea6_file(config, subnets));
    }
    if (mode) {
        files.push_back(radvd_file(config));
    }
    return files;
}

} // namespace

std::vector<DhcpFile> dhcp_files(const Config& config, const Facts& facts) {
    const auto subnets = dhcp_subnets(config, facts);
    return config.dhcp->server == DhcpServer::kea ? files_for_kea(config, subnets)
                                                  : std::vector{dnsmasq_file(config, subnets)};
}

bool is_signed(std::string_view text) {
    const auto line = text.substr(0, text.find('\n'));
    const size_t sign = line.starts_with("// ") ? 3 : line.starts_with("# ") ? 2 : line.size();
    return line.substr(sign) == dhcp_signature;
}

} // namespace linkbal
