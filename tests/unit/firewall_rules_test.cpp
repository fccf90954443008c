// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules of the sections that may be absent promise; that the kernel takes them, and what they do
// to packets, is shown in tests/kernel and tests/netns.
#include <algorithm>

#include <fmt/format.h>

#include "support/catch.h"
#include "support/full_netfilter.h"

#include "core/firewall_rules.h"

using namespace linkbal;
using namespace linkbal::test;

namespace {

const NftChain* find_chain(const NftRuleset& ruleset, const std::string& name) {
    const auto found = std::ranges::find(ruleset.chains, name, &NftChain::name);
    return found == ruleset.chains.end() ? nullptr : &*found;
}

// The chain's lines as nft shows them.
std::string lines(const NftRuleset& ruleset, const std::string& chain) {
    const std::string text = nft_notation("t", ruleset);
    const size_t begin = text.find("\tchain " + chain + " {\n");
    REQUIRE(begin != std::string::npos);
    return text.substr(begin, text.find("\n\t}\n", begin) - begin);
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// The state of a table that nobody asked anything of.
NetfilterState plain() {
    auto state = full_netfilter();
    state.firewall.reset();
    state.forwards.clear();
    state.helpers.clear();
    state.clamps.clear();
    return state;
}

} // namespace

TEST_CASE("what is not asked for has no chain, no set and no counter") {
    const auto ruleset = netfilter_ruleset(plain());
    for (const char* name : {"input", "forward", "sources", "fragments", "nat_forward", "helpers",
                             "helpers_output", "mss", "drop_spoofed"}) {
        CHECK(find_chain(ruleset, name) == nullptr);
    }
    CHECK(ruleset.helpers.empty());
    CHECK(std::ranges::none_of(ruleset.counters,
                               [](const auto& name) { return name.starts_with(firewall_prefix); }));
    CHECK(ruleset.sets.size() == 2); // of dead connections
}

TEST_CASE("every chain is there before the chains that go to it") {
    const auto ruleset = netfilter_ruleset(full_netfilter());
    std::vector<std::string> known;
    for (const auto& chain : ruleset.chains) {
        for (const auto& rule : chain.rules) {
            for (const auto& part : rule.parts) {
                if (const auto* target = std::get_if<GoTo>(&part)) {
                    CHECK(std::ranges::count(known, target->chain) == 1);
                }
            }
        }
        known.push_back(chain.name);
    }
}

TEST_CASE("a rule ends in its verdict, and only there") {
    const auto decides = [](const NftPart& part) {
        return std::holds_alternative<Accept>(part) || std::holds_alternative<Drop>(part) ||
               std::holds_alternative<GoTo>(part) || std::holds_alternative<RejectNet>(part);
    };
    for (const auto& chain : netfilter_ruleset(full_netfilter()).chains) {
        for (const auto& rule : chain.rules) {
            REQUIRE_FALSE(rule.parts.empty());
            CHECK(std::ranges::none_of(rule.parts.begin(), rule.parts.end() - 1, decides));
        }
    }
}

TEST_CASE("input and forward drop, and whatever they drop is counted") {
    const auto ruleset = netfilter_ruleset(full_netfilter());
    for (const char* name : {"input", "forward"}) {
        const NftChain* chain = find_chain(ruleset, name);
        REQUIRE(chain != nullptr);
        CHECK(chain->hook->policy == NftPolicy::drop);
        CHECK(std::get<GoTo>(chain->rules.back().parts.at(0)).chain == std::string("drop_") + name);
    }
    for (const char* name : {"fragments", "spoofed", "invalid", "input", "forward"}) {
        CHECK(has(lines(ruleset, std::string("drop_") + name),
                  "counter name \"fw_" + std::string(name) + "\" drop"));
        CHECK(std::ranges::count(ruleset.counters, "fw_" + std::string(name)) == 1);
    }
}

TEST_CASE("only what is to be logged is logged, under its name") {
    auto state = full_netfilter();
    state.firewall->config.log = static_cast<uint8_t>(FirewallLog::spoofed);
    const auto ruleset = netfilter_ruleset(state);
    CHECK(has(lines(ruleset, "drop_spoofed"), "log prefix \"gateway spoofed: \""));
    for (const char* name : {"fragments", "invalid", "input", "forward"}) {
        CHECK_FALSE(has(lines(ruleset, std::string("drop_") + name), "log"));
    }
}

TEST_CASE("the LAN's and our own addresses are looked at before open connections pass") {
    const auto rules = lines(netfilter_ruleset(full_netfilter()), "sources");
    const size_t open = rules.find("ct state established,related accept");
    REQUIRE(open != std::string::npos);
    CHECK(rules.find("@lan4 goto drop_spoofed") < open);
    CHECK(rules.find("@lan6 goto drop_spoofed") < open);
    CHECK(rules.find("fib saddr type local goto drop_spoofed") < open);
    CHECK(rules.find("@expected4 accept") > open);
    CHECK(rules.find("@expected4 accept") < rules.find("@spoofed4"));
    CHECK(rules.find("ip6 saddr ::/128 icmpv6 type { 133, 135, 143 } accept") <
          rules.find("@spoofed6"));
    CHECK(rules.find("iifname \"eth1\" ip saddr 192.168.1.0/24 accept") <
          rules.find("@spoofed4 goto"));
    CHECK(rules.find("@spoofed4 goto") > open);
}

TEST_CASE("who is outside has a limit, and the LAN has none") {
    const auto rules = lines(netfilter_ruleset(full_netfilter()), "input");
    CHECK(has(rules, "iifname { \"eth0\", \"lan1\" } tcp dport 22 accept"));
    CHECK(has(rules, "\"eth3\" } tcp dport 22 update @sources0_4 { ip saddr limit rate 10/minute "
                     "burst 5 packets } accept"));
    CHECK_FALSE(has(rules, "\"eth3\" } tcp dport 22 accept"));
    CHECK(has(rules, "ip6 saddr 2001:db8:8::/48 udp dport 5005-65535 update @sources1_6"));
    CHECK_FALSE(has(rules, "ip6 saddr 2001:db8:8::/48 udp dport 5005-65535 update @sources1_4"));
}

TEST_CASE(
    "what has no limit passes before anything is counted, and nothing is refused before the end") {
    auto state = full_netfilter();
    const std::vector<ServicePorts> ssh{{Transport::tcp, {22, 22}}};
    const ConnectionRate rate{3, ConnectionRate::Unit::minute};
    state.firewall->config.allow = {{ssh, {.uplinks = true}, rate},
                                    {ssh, {.networks = {net("198.51.100.7/32")}}, std::nullopt},
                                    {ssh, {.networks = {net("192.0.2.0/24")}}, rate},
                                    {ssh, {.lan = true, .uplinks = true}, rate}};
    const auto rules = lines(netfilter_ruleset(state), "input");
    const size_t counted = rules.find("update @sources0_4");
    REQUIRE(counted != std::string::npos);
    CHECK(rules.find("ip saddr 198.51.100.7/32 tcp dport 22 accept") < counted);
    CHECK(rules.find("iifname { \"eth0\", \"lan1\" } tcp dport 22 accept") < counted);
    // Also where a set has no room for a source.
    CHECK(rules.find("goto drop_input") > rules.rfind("update @sources3_6"));
    CHECK(rules.find("goto drop_input") == rules.rfind("goto drop_input"));
}

TEST_CASE("protocols without ports are let in by their number") {
    const auto rules = lines(netfilter_ruleset(full_netfilter()), "input");
    for (const char* device : {"\"lan1\" }", "\"eth3\" }"}) {
        for (const char* number : {"112", "50"}) {
            CHECK(has(rules, fmt::format("{} meta l4proto {} accept", device, number)));
        }
    }
    CHECK_FALSE(has(rules, "meta l4proto 89"));
}

TEST_CASE("a DHCP server's answer may come from any address, DHCPv6's to a link-local one") {
    const auto ruleset = netfilter_ruleset(full_netfilter());
    for (const char* chain : {"sources", "input"}) {
        const auto rules = lines(ruleset, chain);
        CHECK(has(rules, "\"eth3\" } meta nfproto ipv4 udp sport 67 udp dport 68 accept"));
        CHECK(has(rules, "\"eth3\" } ip6 daddr fe80::/10 udp dport 546 accept"));
    }
    const auto sources = lines(ruleset, "sources");
    CHECK(sources.find("dport 546 accept") < sources.find("@spoofed6 goto"));
}

TEST_CASE("without servers the LAN asks whom it likes; without ours it does not ask us") {
    auto state = full_netfilter();
    CHECK(has(lines(netfilter_ruleset(state), "forward"), "ip daddr != @dns4"));
    CHECK(has(lines(netfilter_ruleset(state), "input"), "udp dport 53 accept"));
    state.firewall->config.dns_servers.clear();
    state.firewall->serves_dns = false;
    CHECK_FALSE(has(lines(netfilter_ruleset(state), "forward"), "@dns4"));
    CHECK_FALSE(has(lines(netfilter_ruleset(state), "input"), "dport 53"));
}

TEST_CASE("services of one transport are one rule, whatever their names overlap in") {
    auto state = full_netfilter();
    state.firewall->config.allow = {{{{Transport::tcp, {5000, 5010}},
                                      {Transport::tcp, {22, 22}},
                                      {Transport::tcp, {5005, 5020}},
                                      {Transport::tcp, {22, 22}}},
                                     {.lan = true},
                                     std::nullopt}};
    CHECK(has(lines(netfilter_ruleset(state), "input"), "tcp dport { 22, 5000-5020 } accept"));
}

TEST_CASE(
    "forwards: named uplinks, sources, moved ranges port by port, the LAN by the outer address") {
    const auto rules = lines(netfilter_ruleset(full_netfilter()), "nat_forward");
    CHECK(has(rules,
              "iifname { \"eth1\", \"eth2\" } fib daddr type local tcp dport 8080 dnat ip to "
              "192.0.2.10:80 comment \"web\""));
    CHECK(has(rules, "iifname { \"eth0\", \"lan1\" } ip daddr @outside4 tcp dport 8080 dnat"));
    CHECK(has(rules, "iifname \"eth2\" fib daddr type local ip saddr 203.0.113.7/32 udp dport "
                     "27000-27002 dnat ip to 192.0.2.11\n"));
    CHECK_FALSE(has(rules, "@outside4 tcp dport 27000"));
    CHECK(has(rules, "ip daddr @outside4_velox2 tcp dport 25 dnat ip to 192.0.2.12"));
    CHECK_FALSE(has(rules, "@outside4 tcp dport 25"));
    CHECK(has(rules, "tcp dport 65535 dnat ip6 to [2001:db8::10]:445"));
    CHECK(has(lines(netfilter_ruleset(full_netfilter()), "nat_postrouting"),
              "ct status dnat masquerade"));
}

TEST_CASE("a forward whose uplinks are all retired takes nothing new from outside") {
    auto state = full_netfilter();
    state.forwards = {state.forwards[1]};
    state.forwards[0].uplinks = {"former"};
    CHECK_FALSE(has(lines(netfilter_ruleset(state), "nat_forward"), "dnat"));
}

TEST_CASE("MSS: the path's on the way out, the device's on the way in, a number both ways") {
    const auto rules = lines(netfilter_ruleset(full_netfilter()), "mss");
    CHECK(has(rules,
              "oifname \"eth1\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt "
              "mtu"));
    CHECK(has(rules, "iifname \"eth1\" meta nfproto ipv4 tcp flags & (syn | rst) == syn tcp option "
                     "maxseg size set 1452"));
    CHECK(has(rules, "iifname \"eth1\" meta nfproto ipv6 tcp flags & (syn | rst) == syn tcp option "
                     "maxseg size set 1420"));
    CHECK(has(rules, "iifname \"eth2\" tcp flags & (syn | rst) == syn tcp option maxseg size set "
                     "1300"));
}
