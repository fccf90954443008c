// SPDX-License-Identifier: GPL-2.0-or-later
// The commands that make a link usable: bring_up, log_in, test.
#pragma once

#include "daemon/asio.h"

#include <cstdint>
#include <functional>
#include <string>

#include "core/config.h"
#include "daemon/changes.h"
#include "daemon/link_change.h"
#include "daemon/process.h"
#include "util/result.h"

namespace linkbal {

// What bring_up_link() has to know of everything else. The pointers are valid until it is done.
struct BringUp {
    std::string instance;
    UplinkConfig uplink;
    uint32_t mark = 0; // of the packets that leave by the uplink; its `fwmark` rule is in place
    Processes* processes = nullptr; // run the commands; stop() makes this fail
    Changes* changes = nullptr;     // to be notified when `place` may have something new to say
    // Where the link is, or what it still lacks: "no gateway". The interface is up, has an address and
    // a gateway, and the routes of its table are in place.
    std::function<Result<LinkPlace>()> place;
};

// Runs bring_up, waits until the link has its place (for command_timeout at most), runs log_in, then
// test, these two through the link's WayOut. Each has the environment of link_environment() with its
// own name as LINKBAL_EVENT. Without any of the three commands it is done at once. The first failure ends it:
// the error names link, command, what became of the command, and the last line that it printed.
asio::awaitable<Status> bring_up_link(BringUp job);

} // namespace linkbal
