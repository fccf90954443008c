// SPDX-License-Identifier: GPL-2.0-or-later
// A table that has everything that a configuration can ask for.
#pragma once

#include "core/netfilter_rules.h"

namespace linkbal::test {

inline Prefix net(const char* text) { return Prefix::parse(text).value(); }

inline FirewallState full_firewall() {
    FirewallState firewall;
    auto& config = firewall.config;
    config.ping = {
        .lan = true, .uplinks = true, .networks = {net("198.51.100.0/24"), net("2001:db8:7::/48")}};
    config.allow = {
        {{{Transport::tcp, {22, 22}}},
         {.lan = true, .uplinks = true, .networks = {}},
         ConnectionRate{10, ConnectionRate::Unit::minute}},
        {{{Transport::tcp, {5000, 5010}}, {Transport::udp, {5005, 65535}}},
         {.networks = {net("203.0.113.0/24"), net("2001:db8:8::/48")}},
         ConnectionRate{3, ConnectionRate::Unit::hour}},
        {{{Transport::udp, {123, 123}}}, {.lan = true, .uplinks = true}, std::nullopt, {112, 50}}};
    config.dns_servers = {IpAddress::parse("200.202.93.75").value(),
                          IpAddress::parse("2001:db8::53").value()};
    config.log = 31;
    config.log_prefix = "gateway";
    firewall.serves_dns = true;
    firewall.expected = {net("10.9.0.0/16"), net("fd00:9::/32")};
    firewall.subnets = {{"eth1", net("192.168.1.0/24")}, {"eth2", net("fd00:2::/64")}};
    return firewall;
}

inline std::vector<ForwardConfig> full_forwards() {
    ForwardConfig web;
    web.name = "web";
    web.port = {8080, 8080};
    web.to = IpAddress::parse("192.0.2.10").value();
    web.to_port = 80;
    ForwardConfig games;
    games.protocols = {Transport::tcp, Transport::udp};
    games.port = {27000, 27002};
    games.to = IpAddress::parse("192.0.2.11").value();
    games.from = {net("198.51.100.0/24"), net("203.0.113.7/32")};
    games.uplinks = {"velox2"};
    games.hairpin = false;
    ForwardConfig moved;
    moved.port = {65533, 65535};
    moved.to = IpAddress::parse("2001:db8::10").value();
    moved.to_port = 443;
    ForwardConfig named;
    named.port = {25, 25};
    named.to = IpAddress::parse("192.0.2.12").value();
    named.uplinks = {"velox2"};
    return {web, games, moved, named};
}

inline NetfilterState full_netfilter() {
    NetfilterState state;
    state.mark_mask = 0x00ff0000;
    state.uplinks = {{"velox1", "eth1", 0x00010000},
                     {"velox2", "eth2", 0x00020000},
                     {"former", "eth3", 0x00030000, true}};
    state.masqueraded = {net("192.0.2.0/24"), net("2001:db8::/61")};
    state.lan_devices = {"eth0", "lan1"};
    state.uplink_addresses = {{"velox1", IpAddress::parse("198.51.100.2").value()},
                              {"velox1", IpAddress::parse("2001:db8:5::2").value()},
                              {"velox2", IpAddress::parse("203.0.113.2").value()}};
    state.firewall = full_firewall();
    state.forwards = full_forwards();
    state.helpers = {{"amanda", Transport::udp, {10080}},
                     {"ftp", Transport::tcp, {21, 2121}},
                     {"pptp", Transport::tcp, {1723}},
                     {"sip", Transport::tcp, {5060}},
                     {"sip", Transport::udp, {5060, 5062}}};
    state.clamps = {{"eth1", {1492, 1480}, 0}, {"eth2", {}, 1300}};
    return state;
}

} // namespace linkbal::test
