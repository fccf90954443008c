// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/desired.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>

#include "core/buckets.h"
#include "core/desired_netfilter.h"
#include "core/desired_routing.h"

namespace linkbal {

namespace {

// More routes of a family than this are left to the rules, which put main first anyway.
constexpr size_t largest_bypass = 2048;

// Destinations that never leave by an uplink's default route, whoever the client is.
constexpr std::array never_balanced{
    "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
    "::1/128",     "fe80::/10",      "ff00::/8"};

// accept_ra of 1 stops accepting as soon as forwarding is on, and the kernel purges the default routes
// that it has learnt: 2 must be there before, on the uplinks and wherever else a default route may
// have come by a router advertisement.
bool depends_on_advertisements(const Interface& interface, const Config& config,
                               const Facts& facts) {
    const bool is_uplink = std::ranges::find(config.uplinks, interface.name,
                                             &UplinkConfig::interface) != config.uplinks.end();
    return interface.accepts_router_advertisements &&
           (is_uplink || has_default_through(facts, Family::ipv6, interface.name));
}

void add_ipv6_sysctls(std::vector<Sysctl>& sysctls, const Config& config, const Facts& facts) {
    for (const Interface& interface : facts.interfaces) {
        if (depends_on_advertisements(interface, config, facts)) {
            sysctls.push_back({fmt::format("net/ipv6/conf/{}/accept_ra", interface.name), "2"});
        }
    }
    for (const UplinkConfig& uplink : config.uplinks) {
        sysctls.push_back(
            {fmt::format("net/ipv6/conf/{}/ignore_routes_with_linkdown", uplink.interface), "1"});
    }
    sysctls.push_back({"net/ipv6/fib_multipath_hash_policy", "1"});
    sysctls.push_back({"net/ipv6/conf/all/forwarding", "1"});
}

// Conntrack counts packets only if it is told to, and sees few of those that the fast path forwards: the
// segments that it does see would be out of its window. Off again when the fast path is.
void add_conntrack_sysctls(std::vector<Sysctl>& sysctls, bool fast_path, const Memory& memory) {
    constexpr auto liberal = "net/netfilter/nf_conntrack_tcp_be_liberal";
    sysctls.push_back({"net/netfilter/nf_conntrack_acct", "1"});
    if (fast_path) {
        sysctls.push_back({liberal, "1"});
    } else if (const auto former = memory.sysctls.find(liberal); former != memory.sysctls.end()) {
        sysctls.push_back({liberal, former->second});
    }
}

std::vector<Sysctl> desired_sysctls(const Config& config, const Facts& facts,
                                    const ResolvedTables& resolved, const Memory& memory,
                                    bool fast_path) {
    std::vector<Sysctl> sysctls;
    for (const UplinkConfig& uplink : config.uplinks) {
        // Loose: the effective value is the larger of this one and conf/all's, so 2 holds
        // whatever `all` says.
        sysctls.push_back({fmt::format("net/ipv4/conf/{}/rp_filter", uplink.interface), "2"});
        // Where main has no default route, as when the preferred link's interface has just gone, the
        // filter finds the way back by the mark, which nftables has restored by then.
        sysctls.push_back({fmt::format("net/ipv4/conf/{}/src_valid_mark", uplink.interface), "1"});
        // Without carrier the kernel looks on: new connections fall through to the balancing table,
        // whose other hops it takes, with or without a daemon.
        sysctls.push_back(
            {fmt::format("net/ipv4/conf/{}/ignore_routes_with_linkdown", uplink.interface), "1"});
    }
    // With addresses alone every connection between two hosts would take one link.
    sysctls.push_back({"net/ipv4/fib_multipath_hash_policy", "1"});
    sysctls.push_back({"net/ipv4/icmp_echo_ignore_broadcasts", "1"});
    add_conntrack_sysctls(sysctls, fast_path, memory);
    // Last: nothing is forwarded before everything else is in place.
    sysctls.push_back({"net/ipv4/ip_forward", "1"});
    if (resolved.families[static_cast<size_t>(Family::ipv6)]) {
        add_ipv6_sysctls(sysctls, config, facts);
    }
    return sysctls;
}

void add_interface_prefixes(std::vector<Prefix>& all, const Interface& interface) {
    for (const InterfaceAddress& address : interface.addresses) {
        all.push_back(address.subnet());
        all.emplace_back(address.address, address.address.bits());
    }
}

std::vector<Prefix> bypassed(const std::vector<Prefix>& lan, const Facts& facts) {
    std::vector<Prefix> all = lan;
    for (const char* text : never_balanced) {
        all.push_back(*Prefix::parse(text));
    }
    for (const Interface& interface : facts.interfaces) {
        add_interface_prefixes(all, interface);
    }
    std::array<size_t, 2> routes{};
    for (const Route& route : facts.foreign_routes) {
        if (route.table == main_table && !route.destination.is_default() &&
            ++routes.at(static_cast<size_t>(route.destination.family())) <= largest_bypass) {
            all.push_back(route.destination);
        }
    }
    return outermost(std::move(all));
}

BucketAssignment desired_buckets(const std::vector<Uplink>& uplinks, Family family,
                                 const BucketAssignment& current) {
    std::vector<WeightedUplink> weighted;
    for (const Uplink* uplink : balanced_uplinks(uplinks, family)) {
        weighted.push_back({static_cast<uint16_t>(uplink->id), uplink->weight});
    }
    std::ranges::sort(weighted, {}, &WeightedUplink::id);
    return weighted.empty() ? BucketAssignment{} : assign_buckets(current, weighted);
}

// A device counts for one uplink. A retired one yields to the one that has its device now.
bool counts_for_its_device(const Uplink& uplink, const std::vector<Uplink>& uplinks) {
    return !uplink.retired || std::ranges::none_of(uplinks, [&](const Uplink& other) {
        return !other.retired && other.device == uplink.device;
    });
}

std::vector<std::string> present(std::vector<std::string> devices, const Facts& facts) {
    std::erase_if(devices,
                  [&](const std::string& name) { return facts.interface(name) == nullptr; });
    std::ranges::sort(devices);
    return devices;
}

// A packet is never longer than 65535 bytes, whatever a device could take.
uint16_t cached_mtu(uint32_t mtu) {
    return static_cast<uint16_t>(std::min<uint32_t>(mtu, std::numeric_limits<uint16_t>::max()));
}

void add_fast_path(DatapathState& datapath, const Config& config, const Facts& facts,
                   const std::array<bool, 2>& balanced,
                   const std::vector<DeviceForwarding>& forwarding) {
    for (const DeviceForwarding& chosen : forwarding) {
        const Interface& device = *facts.interface(chosen.device);
        datapath.devices.push_back({.name = chosen.device,
                                    .forwarding = chosen.forwarding,
                                    .ethernet = device.ethernet,
                                    .mac = device.mac,
                                    .mtu = {cached_mtu(device.mtu[0]), cached_mtu(device.mtu[1])}});
        datapath.fast_path |= chosen.forwarding != Forwarding::classify;
    }
    if (datapath.fast_path) {
        const uint32_t known = std::min(facts.conntrack_max, largest_default_cache);
        datapath.flow_buckets = flow_buckets(config.balance.cache.value_or(known), balanced);
        datapath.tcp_timeout = facts.tcp_timeout;
    }
}

// Devices of the LAN and of uplinks that are there, in order.
std::vector<std::string> datapath_devices(const Config& config, const Facts& facts,
                                          const std::vector<Uplink>& uplinks) {
    auto devices = config.lan.interfaces;
    std::ranges::transform(uplinks, std::back_inserter(devices), &Uplink::device);
    devices = present(std::move(devices), facts);
    const auto rest = std::ranges::unique(devices);
    devices.erase(rest.begin(), rest.end());
    return devices;
}

DatapathState desired_datapath(const Config& config, const Facts& facts,
                               const std::vector<Uplink>& uplinks,
                               const std::array<BucketAssignment, 2>& current,
                               DatapathAbilities abilities) {
    DatapathState datapath{.mark_mask = config.balance.mark_mask,
                           .hash = config.balance.hash,
                           .use_tcx = abilities.use_tcx,
                           .conntrack_lookup = abilities.conntrack_lookup,
                           .conntrack_timeout = abilities.conntrack_timeout,
                           .lan_devices = present(config.lan.interfaces, facts),
                           .uplinks = {},
                           .devices = {},
                           .buckets = {},
                           .bypass = bypassed(lan_networks(config, facts), facts)};
    for (const Uplink& uplink : uplinks) {
        if (counts_for_its_device(uplink, uplinks)) {
            const bool there = facts.interface(uplink.device) != nullptr;
            datapath.uplinks.push_back(
                {uplink.id, uplink.name, there ? uplink.device : "", uplink.weight});
        }
    }
    std::ranges::sort(datapath.uplinks);
    for (const Family family : families) {
        const auto index = static_cast<size_t>(family);
        datapath.buckets[index] = desired_buckets(uplinks, family, current[index]);
    }
    return datapath;
}

std::vector<TableName> desired_names(const Config& config, const ResolvedTables& resolved) {
    std::vector<TableName> names;
    for (const Uplink& uplink : resolved.uplinks) {
        if (!uplink.retired) {
            names.push_back({uplink.table, uplink.name});
        }
    }
    names.push_back({resolved.balance_table, config.balance.table_name});
    return names;
}

void add_lan_subnets(std::vector<Prefix>& networks, const Config& config, const Facts& facts,
                     Family family) {
    for (const std::string& name : config.lan.interfaces) {
        const Interface* interface = facts.interface(name);
        if (interface != nullptr) {
            std::ranges::transform(global_addresses(*interface, family),
                                   std::back_inserter(networks), &InterfaceAddress::subnet);
        }
    }
}

} // namespace

uint32_t uplink_mark(uint32_t id, uint32_t mask) { return id << std::countr_zero(mask); }

std::vector<Prefix> lan_networks(const Config& config, const Facts& facts) {
    std::vector<Prefix> networks = config.lan.networks;
    for (const Family family : families) {
        if (std::ranges::find(config.lan.networks, family, &Prefix::family) ==
            config.lan.networks.end()) {
            add_lan_subnets(networks, config, facts, family);
        }
    }
    return outermost(std::move(networks));
}

Result<Desired> desired_state(const Config& config, const Facts& facts, const Memory& memory,
                              const std::array<BucketAssignment, 2>& current,
                              DatapathAbilities abilities, const Conditions& conditions) {
    for (const std::string& device : config.lan.interfaces) {
        if (!conditions.watched && facts.interface(device) == nullptr) {
            return fail("LAN: there is no interface {}", device);
        }
    }
    auto resolved = resolve_uplinks(config, facts, memory, conditions);
    if (!resolved) {
        return tl::unexpected(resolved.error());
    }
    if (!conditions.watched && std::ranges::none_of(resolved->uplinks, &Uplink::has_any_path)) {
        return fail("none of the uplinks' interfaces is up");
    }
    const auto forwarding = choose_forwarding(config.balance.datapath, abilities.conntrack_lookup,
                                              datapath_devices(config, facts, resolved->uplinks),
                                              facts, memory.refused_xdp);
    auto datapath = desired_datapath(config, facts, resolved->uplinks, current, abilities);
    add_fast_path(datapath, config, facts, resolved->families, forwarding);
    Desired desired{
        .state = {.routes = desired_routes(config, facts, *resolved),
                  .rules = desired_rules(config, *resolved),
                  .sysctls = desired_sysctls(config, facts, *resolved, memory, datapath.fast_path),
                  .netfilter = desired_netfilter(config, facts, resolved->uplinks,
                                                 lan_networks(config, facts), abilities.resets),
                  .datapath = datapath,
                  .table_names = desired_names(config, *resolved)},
        .uplinks = resolved->uplinks,
        .balance_table = resolved->balance_table,
        .families = resolved->families,
        .ended = ended_service(resolved->uplinks, config.failover, memory),
        .resets = config.failover.reset,
        .forwarding = forwarding};
    return desired;
}

} // namespace linkbal
