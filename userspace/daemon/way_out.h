// SPDX-License-Identifier: GPL-2.0-or-later
// The way out of commands that are about one uplink (log-in, test): whatever they connect to, they do
// it through that uplink, and nobody else's packets are touched.
#pragma once

#include <cstdint>
#include <string>

#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// A directory of cgroup 2, below our own, in which every new IPv4 and IPv6 socket gets the uplink's mark
// (a BPF program at socket()). The `fwmark` rule of the uplink then does the rest: routes, source
// address. Local addresses, 127.0.0.1 among them, are looked up before marks and work as ever; what a
// local forwarder does with a query is the forwarder's own traffic.
class WayOut {
  public:
    // The errors: no cgroup 2, or no permission (CAP_BPF, CAP_NET_ADMIN, a delegated cgroup).
    static Result<WayOut> make(const std::string& instance, const std::string& uplink,
                               uint32_t mark);
    WayOut(WayOut&&) noexcept = default;
    WayOut& operator=(WayOut&&) = delete;
    WayOut(const WayOut&) = delete;
    WayOut& operator=(const WayOut&) = delete;
    // While somebody is still in it, such as a keep-alive that a log-in has left running, the cgroup
    // stays with its program. The next make() of the uplink takes it over.
    ~WayOut();

    [[nodiscard]] int cgroup() const { return directory_.get(); } // for ProcessSpec::cgroup

  private:
    WayOut(std::string path, Fd directory)
        : path_(std::move(path)), directory_(std::move(directory)) {}
    std::string path_;
    Fd directory_; // none: moved from
};

// From the contents of /proc/self/mountinfo and /proc/self/cgroup: the directory of this process's own
// cgroup of version 2. Pure.
Result<std::string> own_cgroup(const std::string& mounts, const std::string& memberships);

} // namespace linkbal
