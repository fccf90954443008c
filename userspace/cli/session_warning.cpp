// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/session_warning.h"

#include <linux/netlink.h>
#include <spdlog/spdlog.h>

#include "core/firewall_session.h"
#include "kernel/interfaces.h"
#include "kernel/session.h"

namespace linkbal {

void warn_of_lockout(const Config& config, const Facts& facts) {
    if (!config.firewall) {
        return;
    }
    for (const Session& session : own_sessions()) {
        if (const auto warning = session_warning(config, facts, session)) {
            spdlog::warn("{}", *warning);
            return; // one is enough
        }
    }
}

void warn_of_lockout(const Config& config) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    auto interfaces = socket ? read_interfaces(*socket)
                             : Result<std::vector<Interface>>(tl::unexpected(socket.error()));
    if (interfaces) {
        Facts facts;
        facts.interfaces = *std::move(interfaces);
        warn_of_lockout(config, facts);
    }
}

} // namespace linkbal
