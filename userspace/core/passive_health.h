// SPDX-License-Identifier: GPL-2.0-or-later
// What the connections of the LAN themselves say about a link: pure.
//
// The rule. Looked at is a link's *silence*: the time since a server last answered by it, and no more
// than the last 10 s. A connection that began in it counts once it should have been answered: after
// 1 s, when a client sends its SYN again (RFC 6298, 2.1), or after three round trips, but 3 s at most.
// Repeated SYNs count for nothing: a dead peer fails them all. From the connections follows how
// likely such a silence is on a link that is as good as the others. In each slot of servers
//
//   - that answered on another link meanwhile, each connection (6 at most: one server may have reasons
//     of its own) fails as it does there: (unanswered + 1/2) / (begun + 1);
//   - that was tried on another link in vain, nothing counts: the servers may be dead;
//   - that nobody else tried, one connection counts, and it fails as slots do on the others:
//     (slots unanswered + 1/2) / (slots tried + 1).
//
// No connection is taken to be less likely to fail than 9 %, which a congested link may lose, nor than
// this link's own did before the silence: where most peers are dead, silence is nothing new. A link
// *eats connections* if the product is below 1e-6 and the first of them is 3 s old, when a client has
// sent its SYN three times. It takes 6 connections to servers that answer elsewhere, more if many peers
// are dead, and about 15 on a link that has never had an answer. Links that are silent themselves are
// nobody's measure, and without any answer elsewhere there is no verdict.
//
// If no other link carries connections, a stricter rule holds: 16 answers are remembered, the last one
// no older than a minute; then 5 s and 16 slots without any, and the same product by the link's own
// history. A scanner on an otherwise quiet single link can look like that.
//
// Random traffic to dead peers (30 to 97 % of them, 1 to 40 connections a second, up to 10 % lost) gave no
// wrong verdict in 250 hours of two links among which connections take turns. What is left: a client of
// dead peers whom a sticky hash mode keeps on one link of its own, in the first seconds after that link
// was forgotten.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/address.h"
#include "core/handshake_counters.h"
#include "util/clock.h"

namespace linkbal {

// Of one uplink and one family.
struct PassiveEvidence {
    // When it was last seen that a server had answered a connection by this link.
    std::optional<Time> last_success;
    // Connections die here that live on other links; `reason` says it in numbers.
    bool eats_connections = false;
    std::string reason;
    // From SYN to SYN-ACK, mean of the last seconds.
    std::optional<std::chrono::microseconds> round_trip;
};

class PassiveHealth {
  public:
    // What the datapath has counted by now; for all uplinks, at least twice a second.
    // The first snapshot of an uplink is what later ones are compared with. Numbers that are lower
    // than before are another uplink's: everything is forgotten.
    void observe(uint32_t uplink, Family family, const HandshakeCounters& counters, Time now);
    // Changes nothing: the answer depends on what was observed and on `now` alone.
    [[nodiscard]] PassiveEvidence evidence(uint32_t uplink, Family family, Time now) const;
    // Begins afresh, as with an uplink that was never seen: before a trial of one that had failed.
    void forget(uint32_t uplink, Family family);

    struct Snapshot {
        Time at;
        HandshakeCounters counters;
    };
    // Of connections up to the last answer; the last few hundred weigh most.
    struct History {
        double tried = 0, answered = 0;
        double unsettled = 0; // begun since the last answer
    };
    struct Link {
        std::deque<Snapshot> snapshots; // of the last seconds and one before, never empty
        std::optional<Time> last_success;
        History history;
    };

  private:
    std::map<std::pair<Family, uint32_t>, Link> links_;
};

} // namespace linkbal
