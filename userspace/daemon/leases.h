// SPDX-License-Identifier: GPL-2.0-or-later
// Ends leases of the flow cache as soon as the kernel might decide otherwise: conntrack has lost an
// entry, somebody has changed nftables, routes or rules, a neighbour has another link-layer address.
#pragma once

#include "daemon/asio.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/known_neighbours.h"
#include "core/lease_ends.h"
#include "daemon/event_listener.h"
#include "kernel/flow_ends.h"
#include "kernel/path_events.h"

namespace linkbal {

class Leases {
  public:
    // `directory` is where the datapath is pinned; routes and rules that come from the netlink port
    // `own_port` are our own.
    Leases(asio::io_context& context, std::string directory, uint32_t own_port);
    Leases(const Leases&) = delete;
    Leases& operator=(const Leases&) = delete;
    ~Leases() = default;

    struct Scope {
        uint32_t mark_mask = 0;
        // By index of the interface; LB_NO_UPLINK for a LAN device.
        std::map<uint32_t, uint32_t> uplinks;
        bool operator==(const Scope&) const = default;
    };
    // After each pass. `reloaded`: the programs are others now, and so may be their maps. Without a fast
    // path nothing is listened to.
    void settle(const Scope& scope, bool reloaded);

    // Since the beginning.
    struct Counts {
        size_t wakeups = 0;           // one or several events have come
        size_t conntrack_wakeups = 0; // of these, by what conntrack has lost
        size_t flows = 0;             // entries that were ended one by one
        size_t epochs = 0;            // how often those of one uplink or of several have ended
    };
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] bool is_listening() const { return paths_.has_value(); }

  private:
    void listen();
    void stop();
    void read_ends(EventSocket& socket);
    void read_rulesets(EventSocket& socket);
    void read_paths(EventSocket& socket);
    // Hands over what has come; what was lost may have been anything.
    void drain(EventSocket& socket, const std::function<void(const nlmsghdr&)>& handle);
    void learn_neighbours();
    void end_flow(const FlowTuple& tuple);
    void concern(uint32_t interface);
    void wake();
    void work();
    Status end(const EndedUplinks& what);

    asio::io_context* context_;
    std::string directory_;
    uint32_t own_port_;
    Scope scope_;
    bool settled_ = false;
    std::optional<FlowEnds> cache_; // none: no fast path
    std::optional<EventListener> ends_, rulesets_, paths_;
    KnownNeighbours neighbours_;
    LeaseEnds due_;
    asio::steady_timer timer_;
    bool waiting_ = false; // for the timer
    Counts counts_;
};

} // namespace linkbal
