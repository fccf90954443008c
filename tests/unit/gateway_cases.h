// SPDX-License-Identifier: GPL-2.0-or-later
// The how-to's gateway as values, with both families: LAN on eth0, velox1 on eth1, velox2 on eth2.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/desired.h"
#include "core/facts.h"
#include "support/catch.h"

namespace linkbal::test {

inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
inline Prefix net(std::string_view text) { return Prefix::parse(text).value(); }
inline std::vector<Prefix> nets(const std::vector<std::string_view>& texts) {
    std::vector<Prefix> all;
    for (const auto text : texts) {
        all.push_back(net(text));
    }
    return all;
}

// "192.0.2.2/24": the address and its subnet.
inline InterfaceAddress address(std::string_view text) {
    const size_t slash = text.find('/');
    const auto value = ip(text.substr(0, slash));
    const auto length = static_cast<unsigned>(std::stoul(std::string(text.substr(slash + 1))));
    return {value, length, std::nullopt, value.is_link_local()};
}

inline Interface interface(const std::string& name,
                           const std::vector<std::string_view>& addresses) {
    Interface result;
    result.name = name;
    result.up = true;
    for (const auto text : addresses) {
        result.addresses.push_back(address(text));
    }
    return result;
}

inline NextHop via(std::string_view gateway, const std::string& device, uint32_t weight = 1) {
    return {ip(gateway), device, weight};
}
inline NextHop through(const std::string& device, uint32_t weight = 1) {
    return {std::nullopt, device, weight};
}
inline Route route(uint32_t table, std::string_view destination, const std::vector<NextHop>& hops,
                   uint32_t metric = 0) {
    return {table, net(destination), hops, std::nullopt, metric};
}

inline UplinkConfig uplink(const std::string& name, const std::string& device) {
    UplinkConfig result;
    result.name = name;
    result.interface = device;
    return result;
}

inline Config two_links() {
    Config config;
    config.lan.interfaces = {"eth0"};
    for (const char* number : {"1", "2"}) {
        UplinkConfig link = uplink(fmt::format("velox{}", number), fmt::format("eth{}", number));
        link.gateway = ip(fmt::format("192.168.{}.1", number));
        link.gateway6 = ip(fmt::format("2001:db8:{}::1", number));
        link.table = 9U + static_cast<uint32_t>(*number - '0');
        config.uplinks.push_back(link);
    }
    config.balance.table = 30;
    config.balance.table_name = "velox";
    config.balance.datapath = DatapathMode::classify; // forwarding_test.cpp has the others
    return config;
}

inline Facts machine() {
    Facts facts;
    facts.interfaces = {
        interface("lo", {"127.0.0.1/8", "::1/128"}),
        interface("eth0", {"192.168.0.1/24", "2001:db8:0:1::1/64", "fe80::1/64"}),
        interface("eth1", {"192.168.1.2/24", "2001:db8:1::2/64", "fe80::2/64"}),
        interface("eth2", {"192.168.2.2/24", "2001:db8:2::2/64", "fe80::3/64"}),
    };
    return facts;
}

inline Interface& device(Facts& facts, std::string_view name) {
    const auto found = std::ranges::find(facts.interfaces, name, &Interface::name);
    REQUIRE(found != facts.interfaces.end());
    return *found;
}

inline Desired desired(const Config& config, const Facts& facts = machine(),
                       const Memory& memory = {},
                       const std::array<BucketAssignment, 2>& current = {},
                       DatapathAbilities abilities = {}) {
    const auto result = desired_state(config, facts, memory, current, abilities);
    INFO((result ? "" : result.error().message));
    REQUIRE(result);
    return *result;
}

// What a test says twice, once a family.
struct FamilyWords {
    Family family;
    std::string any, gateway1, gateway2, own1, subnet1, other;
    uint32_t plain_metric;
};
inline const std::vector<FamilyWords> both_families{
    {Family::ipv4, "0.0.0.0/0", "192.168.1.1", "192.168.2.1", "192.168.1.2", "192.168.1.0/24",
     "203.0.113.0/24", 0},
    {Family::ipv6, "::/0", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:1::2", "2001:db8:1::/64",
     "2001:db8:ff::/48", 1024},
};

} // namespace linkbal::test
