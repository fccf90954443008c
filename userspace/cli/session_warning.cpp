// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/session_warning.h"

#include <linux/netlink.h>
#include <spdlog/spdlog.h>

#include "core/firewall_session.h"
#include "kernel/interfaces.h"
#include "kernel/routes.h"
#include "kernel/session.h"

namespace linkbal {

namespace {

Result<Facts> read_paths() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    auto interfaces = socket ? read_interfaces(*socket)
                             : Result<std::vector<Interface>>(tl::unexpected(socket.error()));
    if (!interfaces) {
        return tl::unexpected(interfaces.error());
    }
    auto routing = read_routes_and_rules(*socket, InterfaceNames(*interfaces));
    if (!routing) {
        return tl::unexpected(routing.error());
    }
    Facts facts;
    facts.interfaces = *std::move(interfaces);
    facts.foreign_routes = std::move(routing->foreign_routes);
    return facts;
}

} // namespace

void warn_of_lockout(const Config& config, const Facts& facts) {
    if (!config.firewall && config.forwards.empty()) {
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
    if (const auto facts = read_paths()) {
        warn_of_lockout(config, *facts);
    }
}

} // namespace linkbal
