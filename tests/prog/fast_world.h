// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway of which only the programs are real: a LAN device and an uplink, their maps filled by hand, a
// flow cache whose clock stands still, and BPF_PROG_TEST_RUN.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fast_packets.h"
#include "kernel/bpf_object.h"
#include "linkbal/abi.h"

namespace linkbal::test {

enum class Way : uint8_t { xdp, tc };
inline constexpr std::array ways = {Way::xdp, Way::tc};

// Whose packets come in: the LAN's, or the uplink's.
enum class From : uint8_t { lan, uplink };
inline constexpr std::array directions = {From::lan, From::uplink};

struct WorldSetup {
    bool still = true;     // the clock; else it ticks about 15 times a second
    uint32_t buckets = 64; // of each family
    uint16_t tag = 0x4c42; // 0 is what no packet but those of BPF_PROG_TEST_RUN has
    bool timeouts = false; // programs may change conntrack's
};

// A flow in one direction: how its packets come, how they leave.
struct Flow {
    From from = From::lan;
    Segment in{};
    Segment out{};
};

// Where a flow lies in its map.
struct Place {
    Family family = Family::ipv4;
    uint32_t index = 0;
    uint8_t tag = 0; // of the flow
};

struct FastOutcome {
    Bytes frame{};
    int action = -2;
    lb_fast reason = LB_FASTS; // LB_FASTS if more than one was counted
    uint32_t mark = 0;
    uint32_t priority = 0;
};

class FastWorld {
  public:
    static constexpr uint32_t lan_slot = 3, wan_slot = 1000;
    static constexpr uint32_t uplink = 7;
    static constexpr uint32_t epoch = 5;
    static constexpr uint32_t lease = 100; // ticks of flows that are put()
    static constexpr uint16_t mtu = 1500;
    static constexpr uint32_t mark = 0xab00cdef;
    static constexpr uint32_t seed = 0x12345678;
    static constexpr Mac lan_mac{2, 0, 0, 0, 0, 1}, wan_mac{2, 0, 0, 0, 0, 0x11};
    static constexpr Mac host_mac{2, 0, 0, 0, 0, 2}, router_mac{2, 0, 0, 0, 0, 0x12};

    explicit FastWorld(const WorldSetup& setup = {});

    // Runs the fast path on a frame that comes in by the LAN device or by the uplink, where both devices
    // forward this way.
    FastOutcome run(Way way, From from, const Bytes& frame);
    // The same where they forward as set_forwarding() has said.
    FastOutcome run_mixed(Way way, From from, const Bytes& frame);
    void set_forwarding(Way lan, Way wan);
    // Runs a tc program with what its context has to say; returns the action.
    int run_tc(const char* program, Bytes& frame, __sk_buff& context);

    // Puts a flow into its first place, or `further` places on, with a lease that has begun.
    Place put(const Flow& flow, uint32_t further = 0);
    [[nodiscard]] Place place_of(const Flow& flow, uint32_t further = 0) const;
    [[nodiscard]] Bytes entry_of_flow(const Flow& flow) const; // as put() writes it
    void set_tag(Place place, uint8_t tag);
    [[nodiscard]] uint8_t tag_at(Place place) const;
    [[nodiscard]] lb_flow flow_at(Place place) const;
    // Changes an entry.
    template <typename Change>
    void change(Place place, Change change);

    [[nodiscard]] uint32_t now() const; // in ticks
    [[nodiscard]] uint32_t uplink_ifindex() const { return wan_; }
    [[nodiscard]] uint32_t lan_ifindex() const { return lan_; }
    [[nodiscard]] const Fd& map(std::string_view name) const;
    [[nodiscard]] lb_uplink_counters counters() const; // of `uplink`
    [[nodiscard]] std::vector<lb_verdict_counters> reasons() const;
    [[nodiscard]] lb_interface interface_at(uint32_t slot) const;
    void set_interface(uint32_t slot, const lb_interface& value);
    void set_epoch(uint32_t value);
    [[nodiscard]] lb_lease_control lease_control() const;
    void set_lease_control(const lb_lease_control& value);
    [[nodiscard]] double ticks_per_second() const;      // as the clock really ticks
    void set_redirect(uint32_t slot, uint32_t ifindex); // 0: none
    // An entry as it lies in its map: of struct lb_flow4 or lb_flow6.
    [[nodiscard]] Bytes raw_entry(Place place) const;
    void write_raw(Place place, const Bytes& bytes);

  private:
    void make_interfaces();
    FastOutcome run_xdp(uint32_t ifindex, const Bytes& frame);
    FastOutcome run_fast_tc(const char* program, uint32_t ifindex, const Bytes& frame);

    uint8_t shift_ = 0;
    uint32_t buckets_;
    uint32_t lan_ = 0, wan_ = 0;
    BpfObject object_;
};

template <typename Change>
void FastWorld::change(Place place, Change change) {
    Bytes bytes = raw_entry(place);
    change(*reinterpret_cast<lb_flow*>(bytes.data()));
    write_raw(place, bytes);
}

// Flows of both families and transports, from both sides, with source, destination, both or neither
// translated.
std::vector<Flow> all_flows();
// One of each family and transport.
std::vector<Flow> some_flows();
// What comes back.
Flow answers(const Flow& flow);

bool is_ipv4(const Flow& flow);
bool is_tcp(const Flow& flow);

// A frame goes to the kernel untouched, and this reason is counted.
void check_left(FastWorld& world, Way way, From from, const Bytes& frame, lb_fast reason);
// The flow's packet is forwarded, and comes out as it should.
void check_good(FastWorld& world, Way way, const Flow& flow);
// The same with a frame of it.
void check_forwarded(FastWorld& world, Way way, const Flow& flow, const Bytes& frame);

} // namespace linkbal::test
