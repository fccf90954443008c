// SPDX-License-Identifier: GPL-2.0-or-later
// By which connection somebody works on this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/firewall_session.h"

namespace linkbal {

// A line of /proc/net/tcp or tcp6; IPv4-mapped addresses are IPv4.
struct TcpSocket {
    IpAddress local;
    uint16_t port = 0;
    IpAddress remote;
    enum class State : uint8_t { established, listening, other } state = State::other;
    uint64_t inode = 0;
};
std::vector<TcpSocket> parse_proc_net_tcp(std::string_view text);

// Those of `inodes` that somebody else has opened to one of our listening ports. What a process has
// opened itself says nothing of how to get here, nor does what comes from this machine.
std::vector<Session> incoming_sessions(const std::vector<TcpSocket>& sockets,
                                       const std::set<uint64_t>& inodes);

// "192.0.2.1 50000 198.51.100.1 22", as sshd(8) has it in SSH_CONNECTION; empty: loopback, or no such
// text.
std::optional<Session> parse_ssh_connection(std::string_view text);

// By which this process was started: SSH_CONNECTION, or, since sudo(8) and su(1) drop that, what the
// nearest of our ancestors holds that has any. Empty: the machine's own console, or it can't be seen.
std::vector<Session> own_sessions();

} // namespace linkbal
