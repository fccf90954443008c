// SPDX-License-Identifier: GPL-2.0-or-later
// What `linkbal status` shows, to people and to programs, from the same values.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/forwarding.h"
#include "core/link_health.h"

namespace linkbal {

enum class UplinkState : uint8_t { up, down, draining };
std::string_view uplink_state_name(UplinkState state);
std::string_view verdict_name(Verdict verdict);

struct Traffic {
    uint64_t packets = 0;
    uint64_t bytes = 0; // as on the wire, link-layer header included
};

struct UplinkStatus {
    std::string name;
    std::string interface;
    uint32_t table = 0;
    uint32_t weight = 0;
    UplinkState state = UplinkState::down;
    std::string reason;
    std::array<double, 2> share{};   // of the buckets, by Family, 0 to 1
    uint64_t connections_total = 0;  // since the first `up`, opened from either side
    uint64_t connections = 0;        // in conntrack now
    Traffic tx{}, rx{};              // forwarded
    double tx_rate = 0, rx_rate = 0; // bits per second over the interval that was asked for
    // By Family, from a running daemon; empty: it does not judge this family.
    std::array<std::optional<Judgement>, 2> health{};
};

struct VerdictStatus {
    std::string name;
    uint64_t packets = 0;
    uint64_t bytes = 0;
};

struct FastPathStatus {
    uint64_t flows = 0;                   // with a lease, each direction of a connection being one
    uint64_t hits = 0;                    // packets that it forwarded
    uint64_t misses = 0;                  // packets of flows that it did not know, or not any more
    uint64_t full = 0;                    // flows that found no place
    uint64_t capacity = 0;                // places
    uint64_t memory = 0;                  // bytes
    std::vector<VerdictStatus> reasons{}; // why packets went the kernel's way
};

// A change that goes back unless it is confirmed.
struct TrialStatus {
    std::chrono::seconds left{}; // 0: it is over
    bool waits = true;           // somebody keeps the time; else the next change takes it back
};

struct GatewayStatus {
    // "xdp", "tc", "classify", or "mixed" where devices differ; "down" where nothing is loaded.
    std::string datapath;
    bool daemon = false; // one is watching
    std::optional<TrialStatus> trial{};
    std::vector<UplinkStatus> uplinks{};
    std::vector<DeviceForwarding> devices{};
    FastPathStatus fast_path{};
    std::vector<VerdictStatus> verdicts{}; // what the classifier did to packets from the LAN
};

} // namespace linkbal
