// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <span>

#include "core/tcp_connection.h"
#include "util/result.h"

namespace linkbal {

// Between a connection's end and the word of it a packet of the client may have got past us:
// conntrack has then picked the connection up in its middle (nf_conntrack_tcp_loose), with another
// uplink's address, and goes on to send it there. Deletes such entries of the clients' connections:
// established, and never answered. Who has begun anew with the same ports is left alone.
Status delete_strays(std::span<const TcpConnection> connections);

} // namespace linkbal
