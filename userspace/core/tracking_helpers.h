// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's connection tracking helpers: which protocols need one to be tracked and translated.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/firewall_config.h"

namespace linkbal {

struct TrackingHelper {
    std::string_view key;  // in [helpers]
    std::string_view name; // the kernel's
    Transport transport = Transport::tcp;
    uint16_t port = 0; // the usual one
};

// In the order of the keys. Names and transports as the helpers register themselves
// (net/netfilter/nf_conntrack_*.c); one key can be several helpers.
inline constexpr std::array tracking_helpers{
    TrackingHelper{"amanda", "amanda", Transport::udp, 10080},
    TrackingHelper{"ftp", "ftp", Transport::tcp, 21},
    TrackingHelper{"h323", "Q.931", Transport::tcp, 1720},
    TrackingHelper{"h323", "RAS", Transport::udp, 1719},
    TrackingHelper{"irc", "irc", Transport::tcp, 6667},
    TrackingHelper{"netbios-ns", "netbios-ns", Transport::udp, 137},
    TrackingHelper{"pptp", "pptp", Transport::tcp, 1723},
    TrackingHelper{"sane", "sane", Transport::tcp, 6566},
    TrackingHelper{"sip", "sip", Transport::tcp, 5060},
    TrackingHelper{"sip", "sip", Transport::udp, 5060},
    TrackingHelper{"snmp", "snmp", Transport::udp, 161},
    TrackingHelper{"tftp", "tftp", Transport::udp, 69},
};

} // namespace linkbal
