// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/dhcp/dnsmasq.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace linkbal {

namespace {

// Lines that are filled one after the other. Nothing that goes into them needs quoting: the readers
// and check_dhcp() take no names that mean anything to dnsmasq.
class Lines {
  public:
    template <typename... Args>
    void add(fmt::format_string<Args...> format, Args&&... args) {
        fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
        text_ += '\n';
    }
    [[nodiscard]] std::string take() && { return std::move(text_); }

  private:
    std::string text_;
};

std::string lease_text(const DhcpConfig& dhcp) {
    return fmt::format("{}",
                       std::chrono::duration_cast<std::chrono::seconds>(dhcp.lease_time).count());
}

// "255.255.255.0"
std::string netmask(const Prefix& network) {
    const std::array<uint8_t, 4> ones{255, 255, 255, 255};
    return Prefix(IpAddress(ones), network.length()).address().str();
}

// Of its own accord dnsmasq would listen on lo as well, where the machine may have a resolver.
void add_interfaces(const Config& config, Lines& lines) {
    for (const std::string& name : config.lan.interfaces) {
        lines.add("interface={}", name);
    }
    lines.add("except-interface=lo");
    lines.add("bind-dynamic");
}

// Queries for the LAN's own names and for private addresses stay here. Of /etc/hosts the LAN learns
// nothing: there the gateway's own name often is 127.0.1.1.
void add_dns(const DhcpConfig& dhcp, Lines& lines) {
    if (!serves_dns(dhcp)) {
        lines.add("port=0");
        return;
    }
    lines.add("domain-needed");
    lines.add("bogus-priv");
    lines.add("no-hosts");
    if (dhcp.domain) {
        lines.add("local=/{}/", *dhcp.domain);
        lines.add("expand-hosts");
    }
    // A host of this name would be asked by browsers for a proxy (CERT VU#598349).
    lines.add("dhcp-name-match=set:wpad,wpad");
    lines.add("dhcp-ignore-names=tag:wpad");
}

// An option's IPv6 addresses are in brackets.
std::vector<std::string> option_addresses(const DhcpConfig& dhcp, Family family) {
    std::vector<std::string> texts;
    for (const IpAddress& address : of_family(dhcp.dns_servers, family)) {
        texts.push_back(family == Family::ipv6 ? fmt::format("[{}]", address.str())
                                               : address.str());
    }
    return texts;
}

void add_options(const DhcpConfig& dhcp, Lines& lines) {
    if (dhcp.domain) {
        lines.add("domain={}", *dhcp.domain);
        lines.add("dhcp-option=option6:domain-search,{}", *dhcp.domain);
    }
    for (const Family family : families) {
        if (const auto servers = option_addresses(dhcp, family); !servers.empty()) {
            lines.add("dhcp-option={}:dns-server,{}", family == Family::ipv6 ? "option6" : "option",
                      fmt::join(servers, ","));
        }
    }
}

// A tag for each pool, so that each has its own router.
void add_pool4(const DhcpConfig& dhcp, const DhcpSubnet& subnet, const DhcpPool& pool,
               size_t number, Lines& lines) {
    lines.add("dhcp-range=set:range{},{},{},{},{}", number, pool.first.str(), pool.last.str(),
              netmask(subnet.lan.network), lease_text(dhcp));
    lines.add("dhcp-option=tag:range{},option:router,{}", number, pool.router->str());
    if (serves_dns(dhcp)) {
        lines.add("dhcp-option=tag:range{},option:dns-server,{}", number, subnet.lan.gateway.str());
    }
}

void add_pool(const DhcpConfig& dhcp, const DhcpSubnet& subnet, const DhcpPool& pool, size_t number,
              Lines& lines) {
    if (subnet.lan.network.family() == Family::ipv4) {
        add_pool4(dhcp, subnet, pool, number, lines);
    } else {
        lines.add("dhcp-range={},{},{},{}", pool.first.str(), pool.last.str(),
                  subnet.lan.network.length(), lease_text(dhcp));
    }
}

void add_host(const DhcpHostConfig& host, Lines& lines) {
    const bool bracketed = host.address->family() == Family::ipv6;
    lines.add("dhcp-host={},{}{}{}{}", mac_text(host.mac), bracketed ? "[" : "",
              host.address->str(), bracketed ? "]" : "", host.name.empty() ? "" : "," + host.name);
}

// Whatever prefixes the interface has, now and later.
void add_advertisements(const Config& config, AdvertisementMode mode, Lines& lines) {
    lines.add("enable-ra");
    if (mode == AdvertisementMode::managed) {
        return; // the pools say the rest
    }
    for (const std::string& name : config.lan.interfaces) {
        lines.add("dhcp-range=::,constructor:{},{},{}", name,
                  mode == AdvertisementMode::slaac ? "ra-only" : "ra-stateless",
                  lease_text(*config.dhcp));
    }
}

void add_leases(const DhcpConfig& dhcp, const std::vector<DhcpSubnet>& subnets, Lines& lines) {
    lines.add("dhcp-authoritative");
    size_t number = 0;
    for (const DhcpSubnet& subnet : subnets) {
        for (const DhcpPool& pool : subnet.pools) {
            add_pool(dhcp, subnet, pool, ++number, lines);
        }
        for (const DhcpHostConfig& host : subnet.hosts) {
            add_host(host, lines);
        }
    }
}

} // namespace

DhcpFile dnsmasq_file(const Config& config, const std::vector<DhcpSubnet>& subnets) {
    const DhcpConfig& dhcp = *config.dhcp;
    Lines lines;
    lines.add("# {}", dhcp_signature);
    add_interfaces(config, lines);
    add_dns(dhcp, lines);
    add_options(dhcp, lines);
    add_leases(dhcp, subnets, lines);
    if (dhcp.ipv6) {
        add_advertisements(config, *dhcp.ipv6, lines);
    }
    return {dhcp.file.value_or("/etc/dnsmasq.d/linkbal.conf"),
            std::move(lines).take(),
            {"dnsmasq", "--test", "-C"},
            "dnsmasq-base",
            "dnsmasq"};
}

} // namespace linkbal
