// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "support/catch.h"

#include "core/netfilter_rules.h"

using namespace linkbal;

namespace {

NetfilterState two_uplinks() {
    return {0x00ff0000,
            {{"velox1", "eth1", 0x00010000}, {"velox2", "eth2", 0x00020000}},
            {Prefix::parse("192.0.2.0/24").value(), Prefix::parse("2001:db8::/48").value()}};
}

const NftChain& chain(const NftRuleset& ruleset, const std::string& name) {
    const auto found = std::ranges::find(ruleset.chains, name, &NftChain::name);
    REQUIRE(found != ruleset.chains.end());
    return *found;
}

// The only part of its kind.
template <typename Part>
const Part& part(const NftRule& rule) {
    const auto found = std::ranges::find_if(
        rule.parts, [](const NftPart& each) { return std::holds_alternative<Part>(each); });
    REQUIRE(found != rule.parts.end());
    return std::get<Part>(*found);
}

} // namespace

TEST_CASE("every uplink has chains to restore, arrive and leave, and two counters") {
    const auto ruleset = netfilter_ruleset(two_uplinks());
    CHECK(ruleset.counters == std::vector<std::string>{"arrived_velox1", "left_velox1",
                                                       "arrived_velox2", "left_velox2"});
    const auto restore =
        part<SetMark>(chain(ruleset, "restore_velox2").rules.at(0));
    CHECK(restore.mask == 0x00ff0000);
    CHECK(restore.mark == 0x00020000);
    const auto arrive = chain(ruleset, "arrive_velox1").rules.at(0);
    CHECK(part<SaveMark>(arrive).mark == 0x00010000);
    CHECK(part<Count>(arrive).counter == "arrived_velox1");
    const auto leave = chain(ruleset, "leave_velox1").rules.at(0);
    CHECK(part<Count>(leave).counter == "left_velox1");
    CHECK(chain(ruleset, "masquerade_lan").rules.size() == 2);
}

TEST_CASE("a retired uplink restores marks, and nothing new comes or leaves by it") {
    auto state = two_uplinks();
    state.uplinks[1].retired = true;
    const auto ruleset = netfilter_ruleset(state);
    CHECK(ruleset.counters == std::vector<std::string>{"arrived_velox1", "left_velox1"});
    CHECK(chain(ruleset, "restore_velox2").rules.size() == 1);
    const auto& marks = part<DispatchByMark>(chain(ruleset, "prerouting").rules[0]);
    CHECK(marks.targets.size() == 2);
    for (const char* name : {"nat_prerouting", "nat_pin", "nat_postrouting"}) {
        const auto& devices = chain(ruleset, name).rules.back();
        CHECK(part<DispatchByDevice>(devices).targets.size() == 1);
    }
}

TEST_CASE("connections are pinned before anybody's NAT, arrivals stay with their uplink") {
    const auto ruleset = netfilter_ruleset(two_uplinks());
    for (const char* name : {"nat_prerouting", "nat_pin"}) {
        REQUIRE(chain(ruleset, name).hook);
        CHECK(chain(ruleset, name).hook->priority == -199); // conntrack is at -200
    }
    const auto& departures = chain(ruleset, "nat_pin");
    const auto kept = part<OnDevices>(departures.rules.at(0));
    CHECK(kept.devices == std::vector<std::string>{"eth1", "eth2"});
    CHECK(part<DispatchByDevice>(departures.rules.at(1)).direction == Direction::out);
}

TEST_CASE("packets of marked connections never come to the rule that looks for dead ones") {
    auto state = two_uplinks();
    const auto with = netfilter_ruleset(state);
    CHECK(with.sets.size() == 2);
    const auto& rules = chain(with, "prerouting").rules;
    REQUIRE(rules.size() == 2);
    CHECK(std::holds_alternative<DispatchByMark>(rules[0].parts.at(0))); // goes, never returns
    CHECK(part<GoTo>(rules[1]).chain == "reset_dead");
    CHECK(chain(with, "reset_dead").rules.size() == 2);
    CHECK(chain(with, "output").rules.size() == 1);
    state.resets = false;
    const auto without = netfilter_ruleset(state);
    CHECK(without.sets.empty());
    CHECK(chain(without, "prerouting").rules.size() == 1);
    CHECK(std::ranges::find(without.chains, "reset_dead", &NftChain::name) == without.chains.end());
}

TEST_CASE("the notation reads as nft prints it") {
    auto state = two_uplinks();
    state.uplinks.pop_back();
    state.masqueraded.push_back(Prefix::any(Family::ipv4));
    CHECK(nft_notation("gw", netfilter_ruleset(state)) == R"(table inet gw {
	comment "written by linkbal: changes by hand are undone"

	counter arrived_velox1 {
	}

	counter left_velox1 {
	}

	set dead4 {
		type ipv4_addr . ipv4_addr . inet_service . inet_service
		size 131072
		timeout 5m
	}

	set dead6 {
		type ipv6_addr . ipv6_addr . inet_service . inet_service
		size 131072
		timeout 5m
	}

	chain masquerade_lan {
		comment "sources that are behind the uplinks' addresses"
		ip saddr 192.0.2.0/24 masquerade
		ip6 saddr 2001:db8::/48 masquerade
		meta nfproto ipv4 masquerade
	}

	chain reset_dead {
		comment "connections that ended with their uplink: tell the client"
		ip saddr . ip daddr . tcp sport . tcp dport @dead4 reject with tcp reset
		ip6 saddr . ip6 daddr . tcp sport . tcp dport @dead6 reject with tcp reset
	}

	chain restore_velox1 {
		meta mark set meta mark & 0xff00ffff | 0x00010000
	}

	chain arrive_velox1 {
		ct mark set ct mark & 0xff00ffff | 0x00010000 counter name "arrived_velox1"
	}

	chain leave_velox1 {
		ct mark set ct mark & 0xff00ffff | 0x00010000 counter name "left_velox1"
	}

	chain prerouting {
		comment "a packet goes by the uplink of its connection"
		type filter hook prerouting priority -150; policy accept;
		ct mark & 0x00ff0000 vmap { 0x00010000 : goto restore_velox1 }
		ct state invalid,new tcp flags ! syn goto reset_dead
	}

	chain output {
		comment "the gateway's own packets too"
		type route hook output priority -150; policy accept;
		ct mark & 0x00ff0000 vmap { 0x00010000 : goto restore_velox1 }
	}

	chain nat_prerouting {
		comment "first packets from outside: answers leave by the same uplink"
		type nat hook prerouting priority -199; policy accept;
		iifname vmap { "eth1" : goto arrive_velox1 }
	}

	chain nat_pin {
		comment "first packets to outside: pin the uplink they really leave by"
		type nat hook postrouting priority -199; policy accept;
		iifname "eth1" accept comment "opened from outside: stays with the uplink it came in by"
		oifname vmap { "eth1" : goto leave_velox1 }
	}

	chain nat_postrouting {
		comment "the LAN's connections take the uplink's address"
		type nat hook postrouting priority 100; policy accept;
		oifname vmap { "eth1" : goto masquerade_lan }
	}
}
)");
}

TEST_CASE("without uplinks there are base chains and no empty maps") {
    const auto text = nft_notation("gw", netfilter_ruleset({0x00ff0000, {}, {}}));
    CHECK(text.find("chain prerouting") != std::string::npos);
    CHECK(text.find("vmap") == std::string::npos);
}
