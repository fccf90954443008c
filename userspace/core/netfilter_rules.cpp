// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/netfilter_rules.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "core/connection_rules.h"
#include "core/firewall_rules.h"
#include "core/forward_rules.h"

namespace linkbal {

namespace {

// Before the routing decision and after conntrack (-200).
constexpr int32_t mangle = -150;
// A nat chain may not run before conntrack (-200), and the first one that maps a connection ends the
// hook for all nat chains after it: at -199 ours has seen the connection before anyone's port forward
// or masquerade.
constexpr int32_t before_nat = -199;
constexpr int32_t srcnat = 100;

// "masquerade" alone is a word of nft's, which it does not take as a name.
constexpr auto masquerade_name = "masquerade_lan";
constexpr auto reset_name = "reset_dead";

std::string chain_name(std::string_view verb, const NetfilterUplink& uplink) {
    return fmt::format("{}_{}", verb, uplink.name);
}

// Those that new connections may come and leave by.
std::vector<NetfilterUplink> active_uplinks(const NetfilterState& state) {
    std::vector<NetfilterUplink> active;
    std::ranges::copy_if(state.uplinks, std::back_inserter(active),
                         [](const NetfilterUplink& uplink) { return !uplink.retired; });
    return active;
}

std::vector<std::string> active_devices(const NetfilterState& state) {
    std::vector<std::string> devices;
    std::ranges::transform(active_uplinks(state), std::back_inserter(devices),
                           &NetfilterUplink::device);
    return devices;
}

// One test for every packet, on the mark alone. Answers that come in by an uplink need no
// restoring, since the main table routes them to the LAN, but telling them apart by the name of
// their device means hashing 16 bytes instead of 4, for every packet: dearer than restoring a mark
// in vain. Connections without our bits, as those from before the table was loaded, miss and are
// left alone.
NftRule dispatch_by_mark(const NetfilterState& state) {
    DispatchByMark dispatch{state.mark_mask, {}};
    for (const auto& uplink : state.uplinks) {
        dispatch.targets.push_back({uplink.mark, chain_name("restore", uplink)});
    }
    return {{dispatch}, ""};
}

NftRule dispatch_by_device(const NetfilterState& state, Direction direction) {
    DispatchByDevice dispatch{direction, {}};
    for (const auto& uplink : active_uplinks(state)) {
        dispatch.targets.push_back(
            {uplink.device, chain_name(direction == Direction::in ? "arrive" : "leave", uplink)});
    }
    return {{dispatch}, ""};
}

NftRule masquerade_by_device(const NetfilterState& state) {
    DispatchByDevice dispatch{Direction::out, {}};
    for (const auto& uplink : active_uplinks(state)) {
        dispatch.targets.push_back({uplink.device, masquerade_name});
    }
    return {{dispatch}, ""};
}

// A connection from outside that is forwarded out by an uplink (a port forward to the internet, a
// routed network behind another uplink) keeps the mark of the uplink it arrived by: its answers
// must go back there. The input device is known in postrouting since 5.7.
NftRule keep_arrived(const NetfilterState& state) {
    return {{OnDevices{Direction::in, active_devices(state)}, Accept{}},
            "opened from outside: stays with the uplink it came in by"};
}

// A retired uplink has open connections only: nothing new is saved or counted for it.
std::vector<NftChain> uplink_chains(const NetfilterState& state, const NetfilterUplink& uplink) {
    const uint32_t mask = state.mark_mask;
    const auto counting = [&](std::string_view verb, std::string_view prefix) {
        const Count count{fmt::format("{}{}", prefix, uplink.name)};
        const NftRule save{{SaveMark{mask, uplink.mark}, count}, ""};
        return NftChain{chain_name(verb, uplink), "", {}, {save}};
    };
    std::vector<NftChain> chains{{chain_name("restore", uplink),
                                  uplink.retired ? "retired: open connections only" : "",
                                  {},
                                  {{{SetMark{mask, uplink.mark}}, ""}}}};
    if (!uplink.retired) {
        chains.push_back(counting("arrive", arrived_prefix));
        chains.push_back(counting("leave", left_prefix));
    }
    return chains;
}

// Neither `random` nor `fully-random`: the source port is kept where it is free. IPv6 is NAT66.
NftChain masquerade_chain(const NetfilterState& state) {
    NftChain chain{masquerade_name, "sources that are behind the uplinks' addresses", {}, {}};
    for (const auto& source : state.masqueraded) {
        chain.rules.push_back({{FromNetwork{source}, Masquerade{}}, ""});
    }
    return chain;
}

// In front of everyone's port forwards and of routing: what is dropped here leaves by no link, and
// conntrack forgets the entry that it began for it (nf_conntrack_tcp_loose), since none is
// confirmed before postrouting.
NftChain reset_chain() {
    NftChain chain{reset_name, "connections that ended with their uplink: tell the client", {}, {}};
    for (const Family family : families) {
        chain.rules.push_back({{OfDeadConnection{family}, ResetTcp{}}, ""});
    }
    return chain;
}

// Behind the dispatch, whose chains never return: only packets without a mark of ours come here. A
// connection without an entry is new, or invalid where nf_conntrack_tcp_loose is 0 or a FIN is its
// first packet. A SYN is a connection that begins, whatever ended before it.
NftRule catch_mid_stream() {
    return {{OfState{ct_invalid | ct_new}, WithTcpFlags{tcp_syn, 0}, GoTo{reset_name}}, ""};
}

// Without uplinks the base chains are empty: nft knows no empty anonymous set.
std::vector<NftChain> base_chains(const NetfilterState& state) {
    using enum NftHookPoint;
    using enum NftChainType;
    std::vector<NftChain> chains{
        {"prerouting",
         "a packet goes by the uplink of its connection",
         NftHook{filter, prerouting, mangle},
         {}},
        {"output", "the gateway's own packets too", NftHook{route, output, mangle}, {}},
        {"nat_prerouting",
         "first packets from outside: answers leave by the same uplink",
         NftHook{nat, prerouting, before_nat},
         {}},
        {"nat_pin",
         "first packets to outside: pin the uplink they really leave by",
         NftHook{nat, postrouting, before_nat},
         {}},
        {"nat_postrouting",
         "the LAN's connections take the uplink's address",
         NftHook{nat, postrouting, srcnat},
         {}}};
    if (!active_uplinks(state).empty()) {
        chains[0].rules = {dispatch_by_mark(state)};
        chains[1].rules = {dispatch_by_mark(state)};
        chains[2].rules = {dispatch_by_device(state, Direction::in)};
        chains[3].rules = {keep_arrived(state), dispatch_by_device(state, Direction::out)};
        chains[4].rules = hairpin_rules(state);
        chains[4].rules.push_back(masquerade_by_device(state));
        if (state.resets) {
            chains[0].rules.push_back(catch_mid_stream());
        }
    }
    return chains;
}

void append_asked_for(NftRuleset& ruleset, const NetfilterState& state) {
    if (!state.forwards.empty()) {
        append_forwards(ruleset, state);
    }
    if (!state.helpers.empty()) {
        append_helpers(ruleset, state);
    }
    if (!state.clamps.empty()) {
        append_clamps(ruleset, state);
    }
    if (state.firewall) {
        append_firewall(ruleset, state);
    }
}

} // namespace

NftRuleset netfilter_ruleset(const NetfilterState& state) {
    NftRuleset ruleset;
    ruleset.comment = fmt::format("{}: changes by hand are undone", table_signature);
    ruleset.chains.push_back(masquerade_chain(state));
    for (const auto& uplink : active_uplinks(state)) {
        ruleset.counters.push_back(fmt::format("{}{}", arrived_prefix, uplink.name));
        ruleset.counters.push_back(fmt::format("{}{}", left_prefix, uplink.name));
    }
    if (state.resets) {
        ruleset.sets = {DeadSet{Family::ipv4}, DeadSet{Family::ipv6}};
        ruleset.chains.push_back(reset_chain());
    }
    for (const auto& uplink : state.uplinks) {
        std::ranges::move(uplink_chains(state, uplink), std::back_inserter(ruleset.chains));
    }
    std::ranges::move(base_chains(state), std::back_inserter(ruleset.chains));
    append_asked_for(ruleset, state);
    return ruleset;
}

} // namespace linkbal
