// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/connection_rules.h"

#include <fmt/format.h>

namespace linkbal {

namespace {

constexpr int32_t behind_conntrack = -140; // which is at -200
constexpr int32_t mangle = -150;

std::string object_name(const HelperConfig& helper) {
    return fmt::format("{}_{}", helper.name, nft_word(helper.transport));
}

// A connection gets its helper before it is confirmed, or never.
NftRule assignment(const HelperConfig& helper) {
    ToPorts to{helper.transport, {}};
    for (const uint16_t port : helper.ports) {
        to.ports.push_back({port, port});
    }
    return {{OfState{ct_new}, to, AssignHelper{object_name(helper)}}, ""};
}

NftChain helper_chain(const NetfilterState& state, const char* name, const char* comment,
                      NftHookPoint point) {
    NftChain chain{name, comment, NftHook{NftChainType::filter, point, behind_conntrack}, {}};
    for (const auto& helper : state.helpers) {
        chain.rules.push_back(assignment(helper));
    }
    return chain;
}

// What is announced to the far end is what it may send to us: the device's MTU; what goes out by it may
// have a narrower path, which the kernel knows.
void append_clamp(NftChain& chain, const MssClamp& clamp) {
    const WithTcpFlags syn{tcp_syn | tcp_rst, tcp_syn};
    const OnDevices out{Direction::out, {clamp.device}};
    const OnDevices in{Direction::in, {clamp.device}};
    chain.rules.push_back({{out, syn, ClampMss{clamp.size}}, ""});
    if (clamp.size != 0) {
        chain.rules.push_back({{in, syn, ClampMss{clamp.size}}, ""});
        return;
    }
    for (const Family family : families) {
        const int headers = family == Family::ipv4 ? 40 : 60;
        const uint16_t mtu = clamp.mtu.at(static_cast<size_t>(family));
        if (mtu > headers) {
            const ClampMss fitting{static_cast<uint16_t>(mtu - headers)};
            chain.rules.push_back({{in, OfFamily{family}, syn, fitting}, ""});
        }
    }
}

} // namespace

void append_helpers(NftRuleset& ruleset, const NetfilterState& state) {
    for (const auto& helper : state.helpers) {
        ruleset.helpers.push_back({object_name(helper), helper.name, helper.transport});
    }
    ruleset.chains.push_back(
        helper_chain(state, "helpers", "connections that open others", NftHookPoint::prerouting));
    ruleset.chains.push_back(
        helper_chain(state, "helpers_output", "the gateway's own", NftHookPoint::output));
}

void append_clamps(NftRuleset& ruleset, const NetfilterState& state) {
    NftChain chain{"mss",
                   "TCP segments that fit the uplink",
                   NftHook{NftChainType::filter, NftHookPoint::forward, mangle},
                   {}};
    for (const auto& clamp : state.clamps) {
        append_clamp(chain, clamp);
    }
    ruleset.chains.push_back(std::move(chain));
}

} // namespace linkbal
