// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/status_reader.h"

#include <algorithm>
#include <map>
#include <thread>

#include <linux/netlink.h>

#include "core/desired.h"
#include "core/link_state.h"
#include "core/memory.h"
#include "kernel/bpffs.h"
#include "kernel/conntrack.h"
#include "kernel/datapath.h"
#include "kernel/flow_table.h"
#include "kernel/instance.h"
#include "kernel/interfaces.h"
#include "kernel/nftables.h"

namespace linkbal {

namespace {

constexpr std::array<std::string_view, LB_VERDICTS> verdict_names{
    "picked", "pinned", "established", "proposed", "unpinned",
    "bypass", "not_ip", "malformed",   "no_uplink"};

// The first is not among them: it is what the uplinks count.
constexpr std::array<std::string_view, LB_FASTS> fast_names{
    "forwarded", "miss",      "expired",    "renews",   "epoch",      "tcp_flags",
    "not_ip",    "protocol",  "options",    "fragment", "ttl",        "header",
    "too_big",   "malformed", "not_for_us", "tagged",   "no_redirect"};

// Everything that is read from the kernel, before it is put together.
struct Readings {
    Memory memory;
    std::vector<Interface> interfaces;
    ActualDatapath datapath;
    DatapathCounters before, after;
    std::chrono::duration<double> interval{};
    std::map<std::string, ConnectionCounters> totals;
    std::map<uint32_t, uint64_t> open; // by mark
    uint64_t flows = 0;                // in the flow cache
};

Status read_interfaces_into(Readings& readings) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    auto interfaces = read_interfaces(*socket);
    if (!interfaces) {
        return tl::unexpected(interfaces.error());
    }
    readings.interfaces = *std::move(interfaces);
    return {};
}

Status read_counters_into(Readings& readings, const Datapath& datapath,
                          std::chrono::milliseconds interval) {
    const auto start = std::chrono::steady_clock::now();
    auto before = datapath.counters();
    if (!before) {
        return tl::unexpected(before.error());
    }
    std::this_thread::sleep_for(interval);
    auto after = datapath.counters();
    if (!after) {
        return tl::unexpected(after.error());
    }
    readings.before = *before;
    readings.after = *after;
    readings.interval = std::chrono::steady_clock::now() - start;
    return {};
}

Status read_connections_into(Readings& readings, const std::string& instance) {
    auto totals = connection_counters(instance);
    auto open = count_by_mark(readings.datapath.state.mark_mask);
    if (!totals || !open) {
        return tl::unexpected(totals ? open.error() : totals.error());
    }
    readings.totals = *std::move(totals);
    readings.open = *std::move(open);
    return {};
}

double share_of(uint32_t id, const BucketAssignment& buckets) {
    const auto own = std::ranges::count(buckets, static_cast<uint16_t>(id));
    return buckets.empty() ? 0 : static_cast<double>(own) / static_cast<double>(buckets.size());
}

// Without a daemon the device, the buckets and what was remembered are all that speaks for an uplink.
void judge(UplinkStatus& status, const RememberedUplink& uplink,
           const std::vector<Interface>& interfaces) {
    const auto found = std::ranges::find(interfaces, status.interface, &Interface::name);
    const auto obstacle =
        interface_obstacle(status.interface, found == interfaces.end() ? nullptr : &*found);
    if (uplink.retired) {
        status.reason = retired_words;
        status.state = UplinkState::draining;
    } else if (obstacle) {
        status.reason = *obstacle;
    } else if (uplink.drained) {
        status.reason = drained_words;
        status.state = UplinkState::draining;
    } else if (!uplink.carried[0] && !uplink.carried[1]) {
        status.reason = "was bad when a daemon last looked";
    } else if (status.share[0] + status.share[1] == 0) {
        status.reason = standby_words;
        status.state = UplinkState::up;
    } else {
        status.reason = fmt::format("{} has carrier", status.interface);
        status.state = UplinkState::up;
    }
}

void fill_traffic(UplinkStatus& status, const Readings& readings, uint32_t id) {
    const lb_uplink_counters& before = readings.before.uplinks.at(id);
    const lb_uplink_counters& after = readings.after.uplinks.at(id);
    status.tx = {after.tx_packets, after.tx_bytes};
    status.rx = {after.rx_packets, after.rx_bytes};
    if (readings.interval.count() > 0) {
        const double per_second = 8 / readings.interval.count();
        status.tx_rate = static_cast<double>(after.tx_bytes - before.tx_bytes) * per_second;
        status.rx_rate = static_cast<double>(after.rx_bytes - before.rx_bytes) * per_second;
    }
}

UplinkStatus status_of(const RememberedUplink& uplink, const Readings& readings) {
    UplinkStatus status{.name = uplink.name,
                        .interface = uplink.interface,
                        .table = uplink.table,
                        .weight = uplink.weight,
                        .reason = {}};
    const DatapathState& datapath = readings.datapath.state;
    for (size_t family = 0; family < status.share.size(); ++family) {
        status.share[family] = share_of(uplink.id, datapath.buckets[family]);
    }
    judge(status, uplink, readings.interfaces);
    if (const auto total = readings.totals.find(uplink.name); total != readings.totals.end()) {
        status.connections_total = total->second.arrived + total->second.left;
    }
    if (const auto open = readings.open.find(uplink_mark(uplink.id, datapath.mark_mask));
        open != readings.open.end()) {
        status.connections = open->second;
    }
    fill_traffic(status, readings, uplink.id);
    return status;
}

bool has_its_programs(const std::string& device, const ActualDatapath& datapath) {
    return std::ranges::all_of(wanted_attachments(datapath.state), [&](const Attachment& at) {
        return at.device != device || std::ranges::binary_search(datapath.attachments, at);
    });
}

std::vector<DeviceForwarding> devices_of(const Readings& readings) {
    std::vector<DeviceForwarding> devices;
    for (const DatapathDevice& device : readings.datapath.state.devices) {
        DeviceForwarding now{device.name, device.forwarding, {}};
        const auto known =
            std::ranges::find(readings.memory.forwarding, device.name, &DeviceForwarding::device);
        if (!has_its_programs(device.name, readings.datapath)) {
            now.reason = "its programs are not all attached: run `linkbal up`";
        } else if (known != readings.memory.forwarding.end() &&
                   known->forwarding == device.forwarding) {
            now.reason = known->reason;
        }
        devices.push_back(now);
    }
    return devices;
}

FastPathStatus fast_path_of(const Readings& readings) {
    const DatapathCounters& counters = readings.after;
    FastPathStatus status{.flows = readings.flows, .full = counters.full};
    for (const lb_uplink_counters& uplink : counters.uplinks) {
        status.hits += uplink.fast;
    }
    status.misses = counters.fast[LB_FAST_MISS].packets + counters.fast[LB_FAST_EXPIRED].packets;
    if (readings.datapath.state.fast_path) {
        const auto& buckets = readings.datapath.state.flow_buckets;
        const std::array<uint64_t, 2> places{uint64_t{buckets[LB_IPV4]} * LB_WAYS,
                                             uint64_t{buckets[LB_IPV6]} * LB_WAYS};
        status.capacity = places[LB_IPV4] + places[LB_IPV6];
        status.memory = (places[LB_IPV4] * sizeof(lb_flow4)) +
                        (places[LB_IPV6] * sizeof(lb_flow6)) +
                        (status.capacity / LB_WAYS * sizeof(lb_tags));
    }
    for (size_t reason = LB_FAST_FORWARDED + 1; reason < fast_names.size(); ++reason) {
        const lb_verdict_counters& counted = counters.fast.at(reason);
        status.reasons.push_back(
            {std::string(fast_names.at(reason)), counted.packets, counted.bytes});
    }
    return status;
}

GatewayStatus put_together(const Readings& readings) {
    GatewayStatus status{.datapath = datapath_mode_name(readings.datapath.state.devices)};
    status.devices = devices_of(readings);
    status.fast_path = fast_path_of(readings);
    for (const RememberedUplink& uplink : readings.memory.uplinks) {
        status.uplinks.push_back(status_of(uplink, readings));
    }
    for (size_t verdict = 0; verdict < verdict_names.size(); ++verdict) {
        const lb_verdict_counters& counters = readings.after.verdicts[verdict];
        status.verdicts.push_back(
            {std::string(verdict_names[verdict]), counters.packets, counters.bytes});
    }
    return status;
}

// Those whose leases have not run out.
Result<uint64_t> count_flows(const std::string& directory) {
    const auto table = FlowTable::open(directory);
    if (!table || !*table) {
        return table ? Result<uint64_t>(0) : tl::unexpected(table.error());
    }
    return (*table)->tick().map(
        [&](uint32_t tick) -> uint64_t { return (*table)->count_flows(tick); });
}

} // namespace

Result<GatewayStatus> read_status(const std::string& instance, std::chrono::milliseconds interval) {
    if (auto visible = require_visible_bpffs(); !visible) {
        return tl::unexpected(visible.error());
    }
    Readings readings;
    auto memory = read_memory(instance);
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    readings.memory = *std::move(memory);
    const Datapath datapath(instance);
    auto loaded = datapath.read();
    if (!loaded) {
        return tl::unexpected(loaded.error());
    }
    if (!*loaded) {
        return GatewayStatus{.datapath = "down"};
    }
    readings.datapath = **std::move(loaded);
    auto status = read_interfaces_into(readings);
    if (status) {
        status = read_counters_into(readings, datapath, interval);
    }
    if (status) {
        status = read_connections_into(readings, instance);
    }
    if (status && readings.datapath.state.fast_path) {
        status =
            count_flows(datapath.directory()).map([&](uint64_t flows) { readings.flows = flows; });
    }
    if (!status) {
        return tl::unexpected(status.error());
    }
    return put_together(readings);
}

} // namespace linkbal
