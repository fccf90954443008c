// SPDX-License-Identifier: GPL-2.0-or-later
#include "two_uplinks.h"

#include <algorithm>

#include "devices.h"

namespace linkbal::test {

DatapathState two_uplinks(bool use_tcx) {
    DatapathState state;
    state.mark_mask = 0x00ff0000;
    state.use_tcx = use_tcx;
    state.lan_devices = {"lan0"};
    state.uplinks = {{1, "velox1", "wan0", 3}, {2, "velox2", "wan1.7", 1}};
    for (const char* name : {"lan0", "wan0", "wan1.7"}) {
        state.devices.push_back({.name = name,
                                 .forwarding = Forwarding::classify,
                                 .ethernet = true,
                                 .mac = {2, 0, 0, 0, 0, 1},
                                 .mtu = {1500, 1480}});
    }
    const std::vector<WeightedUplink> weights = {{1, 3}, {2, 1}};
    state.buckets = {assign_buckets({}, weights), {}};
    state.bypass = {Prefix::parse("192.0.2.0/24").value(),
                    Prefix::parse("2001:db8:1::/48").value()};
    std::ranges::sort(state.bypass);
    return state;
}

bool has_tcx() { return need(probe_features()).tcx; }

std::vector<bool> attach_modes() {
    return has_tcx() ? std::vector{true, false} : std::vector{false};
}

void make_devices() {
    make_veth("lan0", "host0");
    make_veth("wan0", "router0");
    make_veth("wan1.7", "router1");
}

void fill(Datapath& datapath, const DatapathState& state) {
    need(datapath.set_devices(state.lan_devices, state.uplinks, state.devices));
    need(datapath.set_uplinks(state.uplinks));
    need(datapath.set_bypass(state.bypass));
    for (const Family family : families) {
        need(datapath.set_buckets(family, state.buckets.at(static_cast<size_t>(family))));
    }
}

void attach_all(Datapath& datapath, const DatapathState& state) {
    for (const auto& attachment : wanted_attachments(state)) {
        need(datapath.attach(attachment));
    }
}

// As a first `up` does it.
void bring_up(Datapath& datapath, const DatapathState& state) {
    need(datapath.install(need(datapath.load(state))));
    fill(datapath, state);
    attach_all(datapath, state);
}

ActualDatapath actual(const Datapath& datapath) {
    const auto found = need(datapath.read());
    REQUIRE(found.has_value());
    return *found;
}

std::string programs_on_devices() { return output_of("bpftool -j net"); }
std::string filters_of(const std::string& device) {
    return output_of("tc filter show dev " + device + " ingress") +
           output_of("tc filter show dev " + device + " egress");
}
std::string qdiscs_of(const std::string& device) {
    return output_of("tc qdisc show dev " + device);
}

} // namespace linkbal::test
