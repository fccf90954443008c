// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/forwarding.h"

#include <algorithm>

#include <fmt/format.h>

namespace linkbal {

namespace {

using namespace std::string_view_literals;

// They send what they get as it comes, or share fairly among flows and delay nothing by design.
constexpr std::array plain_qdiscs{"noqueue"sv, "noop"sv, "pfifo_fast"sv, "pfifo"sv, "bfifo"sv,
                                  "mq"sv,      "fq"sv,   "fq_codel"sv,   "sfq"sv,   "codel"sv};

constexpr auto refused_words = "XDP refused";

std::string kind_text(const Interface& device) {
    return !device.kind.empty()     ? device.kind
           : !device.driver.empty() ? fmt::format("driver {}", device.driver)
                                    : "device";
}

const RefusedXdp* refusal(const Interface& device, const std::vector<RefusedXdp>& refused) {
    const auto found = std::ranges::find_if(refused, [&](const RefusedXdp& one) {
        return one.ifindex == device.index && one.mtu == device.mtu[0];
    });
    return found == refused.end() ? nullptr : &*found;
}

// What keeps native XDP from a device; empty: nothing does.
std::string obstacle(const Interface& device, const std::vector<RefusedXdp>& refused) {
    if (!device.ethernet) {
        return "no Ethernet header";
    }
    if (!device.master.empty()) {
        return fmt::format("part of {}", device.master);
    }
    if (!device.xdp.redirects) {
        return fmt::format("{} without native XDP", kind_text(device));
    }
    const auto shaper = std::ranges::find_if(device.qdiscs, shapes);
    if (shaper != device.qdiscs.end()) {
        return fmt::format("qdisc {}, which XDP would go around", *shaper);
    }
    if (device.xdp.foreign()) {
        return "another XDP program is there";
    }
    if (const RefusedXdp* known = refusal(device, refused)) {
        return fmt::format("{}: {}", refused_words, known->words);
    }
    return {};
}

// Many drivers take redirected frames only while they have a program of their own: without ours the
// question is open. A veth's depends on its peer (veth_set_xdp_features() in drivers/net/veth.c).
std::string obstacle_to_receive(const Interface& device) {
    if (device.xdp.receives || (device.kind != "veth" && device.xdp.ours == 0)) {
        return {};
    }
    return device.kind == "veth" ? "veth whose peer has neither GRO nor an XDP program"
                                 : "XDP can't redirect to it";
}

DeviceForwarding choose(bool automatic, const std::string& name, const Facts& facts,
                        const std::vector<RefusedXdp>& refused) {
    const Interface* device = facts.interface(name);
    if (device == nullptr) {
        return {name, Forwarding::tc, "not there"};
    }
    auto reason = obstacle(*device, refused);
    if (reason.empty() && automatic && device->kind == "veth") {
        reason = "veth: frames of local senders come with unfinished checksums";
    }
    if (reason.empty()) {
        reason = obstacle_to_receive(*device);
    }
    return reason.empty() ? DeviceForwarding{name, Forwarding::xdp, "native XDP"}
                          : DeviceForwarding{name, Forwarding::tc, reason};
}

} // namespace

std::string_view forwarding_name(Forwarding forwarding) {
    switch (forwarding) {
    case Forwarding::xdp:
        return "xdp";
    case Forwarding::tc:
        return "tc";
    default:
        return "classify";
    }
}

bool shapes(std::string_view qdisc) {
    return std::ranges::find(plain_qdiscs, qdisc) == plain_qdiscs.end();
}

std::vector<DeviceForwarding> choose_forwarding(DatapathMode mode, bool conntrack_lookup,
                                                const std::vector<std::string>& devices,
                                                const Facts& facts,
                                                const std::vector<RefusedXdp>& refused) {
    std::vector<DeviceForwarding> chosen;
    for (const std::string& device : devices) {
        if (mode == DatapathMode::classify) {
            chosen.push_back({device, Forwarding::classify, "datapath = \"classify\""});
        } else if (!conntrack_lookup) {
            chosen.push_back(
                {device, Forwarding::classify, "kernel without conntrack functions for BPF (6.0)"});
        } else if (mode == DatapathMode::tc) {
            chosen.push_back({device, Forwarding::tc, "datapath = \"tc\""});
        } else {
            chosen.push_back(choose(mode == DatapathMode::automatic, device, facts, refused));
        }
    }
    return chosen;
}

std::vector<std::string> forwarding_warnings(DatapathMode mode,
                                             const std::vector<DeviceForwarding>& chosen) {
    std::vector<std::string> warnings;
    for (const DeviceForwarding& device : chosen) {
        const bool tried = device.reason.starts_with(refused_words);
        if (device.forwarding == Forwarding::tc && (mode == DatapathMode::xdp || tried)) {
            warnings.push_back(fmt::format("{} forwards by tc: {}", device.device, device.reason));
        }
    }
    return warnings;
}

std::array<uint32_t, 2> flow_buckets(uint32_t connections, std::array<bool, 2> balanced) {
    const auto ipv4 = static_cast<uint32_t>((uint64_t{connections} + 1) / 2);
    const auto ipv6 = static_cast<uint32_t>((uint64_t{connections} * 3 + 7) / 8);
    return {balanced[0] ? std::max(ipv4, 1U) : 1U, balanced[1] ? std::max(ipv6, 1U) : 1U};
}

std::string datapath_mode_name(const std::vector<DatapathDevice>& devices) {
    if (devices.empty()) {
        return "classify";
    }
    const Forwarding first = devices.front().forwarding;
    const bool same = std::ranges::all_of(
        devices, [&](const DatapathDevice& device) { return device.forwarding == first; });
    return std::string(same ? forwarding_name(first) : "mixed");
}

} // namespace linkbal
