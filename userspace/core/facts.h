// SPDX-License-Identifier: GPL-2.0-or-later
// What this machine is like, apart from what is ours: read by kernel/, judged by core/.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/gateway_state.h"

namespace linkbal {

struct InterfaceAddress {
    IpAddress address;
    unsigned prefix_length = 0;    // of the subnet, or of the peer's where there is one
    std::optional<IpAddress> peer; // point-to-point links
    bool link_scope = false;       // fe80::/10, 169.254.0.0/16 and whatever else is scope link
    [[nodiscard]] Prefix subnet() const { return {peer.value_or(address), prefix_length}; }
    bool operator==(const InterfaceAddress&) const = default;
};

// What native XDP can do here. Kernels before 6.3 don't tell: both are true then.
struct XdpAbilities {
    bool redirects = true; // a program may redirect what comes in
    bool receives = true;  // frames may be redirected to the device
    bool attached = false; // a program is there, native or generic
    uint32_t program = 0;  // its id; 0: none, or several
    uint32_t ours = 0;     // the id of ours, if that is attached
    [[nodiscard]] bool foreign() const { return attached && (ours == 0 || program != ours); }
};

struct Interface {
    std::string name;
    uint32_t index = 0;
    bool up = false;             // administratively
    bool running = false;        // has carrier
    bool point_to_point = false; // or NOARP: a route through it needs no gateway
    std::vector<InterfaceAddress> addresses;
    std::string kind;          // "veth", "bridge", "vlan"; empty for hardware
    std::string driver;        // of hardware, where XDP is missing
    uint32_t master_index = 0; // of the bridge, bond or VRF that it is part of; 0: none
    std::string master;
    bool ethernet = true; // frames have an Ethernet header
    std::array<uint8_t, 6> mac{};
    std::array<uint32_t, 2> mtu{1500, 1500}; // by Family, bytes
    std::vector<std::string> qdiscs;         // kinds, of the root and below
    XdpAbilities xdp;
    // net.ipv6.conf.INTERFACE.accept_ra is on: its IPv6 route may come by router advertisement.
    bool accepts_router_advertisements = false;
};

struct Facts {
    std::vector<Interface> interfaces;
    std::vector<Route> foreign_routes; // every unicast route that is not ours, all tables but local
    std::vector<Rule> foreign_rules;   // every rule that is not ours
    std::vector<TableName> foreign_table_names; // /etc/iproute2/rt_tables{,.d/*} but our file
    uint32_t conntrack_max = 262144;            // connections: nf_conntrack_max
    uint32_t tcp_timeout = 432000;              // nf_conntrack_tcp_timeout_established, seconds

    [[nodiscard]] const Interface* interface(std::string_view name) const;
};

// Those that are not of link scope.
std::vector<InterfaceAddress> global_addresses(const Interface& interface, Family family);

// The interface that has the address, if it is one of this machine's own.
const Interface* owner_of(const IpAddress& address, const Facts& facts);

// A default route in main that leads through `device` and is not ours.
bool has_default_through(const Facts& facts, Family family, std::string_view device);

} // namespace linkbal
