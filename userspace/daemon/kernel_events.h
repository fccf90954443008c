// SPDX-License-Identifier: GPL-2.0-or-later
// Hears what changes in the kernel, and says how soon somebody should look.
#pragma once

#include "daemon/asio.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/facts.h"
#include "daemon/event_listener.h"
#include "util/result.h"

namespace linkbal {

enum class Urgency : uint8_t {
    soon,    // something that decisions may depend on, or that is ours
    at_once, // a default route that leads through a link
    moved,   // a link of ours: its carrier, its addresses; the kernel takes routes away with them
};

class KernelEvents {
  public:
    using OnEvent = std::function<void(Urgency)>;

    // Links, their settings and qdiscs, addresses, routes and rules of both families, and the nftables table `inet TABLE`. What
    // comes from the netlink port `own_port` is our own doing and no event.
    static Result<std::unique_ptr<KernelEvents>>
    open(asio::io_context& context, const std::string& table, uint32_t own_port, OnEvent on_event);

    // The devices whose events are urgent, by name and, as they are now, by index.
    void follow(const std::vector<std::string>& devices, const Facts& facts);

    KernelEvents(const KernelEvents&) = delete;
    KernelEvents& operator=(const KernelEvents&) = delete;
    ~KernelEvents() = default;

  private:
    KernelEvents(std::string table, uint32_t own_port, OnEvent on_event);
    void read(EventSocket& socket);
    void judge(const nlmsghdr& message);
    void judge_link(const nlmsghdr& message);
    void judge_address(const nlmsghdr& message);
    void judge_route(const nlmsghdr& message);
    void judge_rule(const nlmsghdr& message);
    void judge_nftables(const nlmsghdr& message);
    void say(Urgency urgency);

    std::string table_;
    uint32_t own_port_;
    OnEvent on_event_;
    std::set<std::string, std::less<>> devices_;
    std::map<uint32_t, unsigned> flags_; // of the devices, by index: IFF_UP and IFF_RUNNING
    std::vector<EventListener> listeners_;
};

} // namespace linkbal
