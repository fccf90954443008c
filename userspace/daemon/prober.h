// SPDX-License-Identifier: GPL-2.0-or-later
// Sends probes to one target by one uplink and tells which were answered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/config.h"
#include "daemon/asio.h"
#include "daemon/probe_path.h"
#include "util/result.h"

namespace linkbal {

class Prober {
  public:
    Prober() = default;
    Prober(const Prober&) = delete;
    Prober& operator=(const Prober&) = delete;
    virtual ~Prober() = default;

    // One probe. What the kernel refuses to send is a lost probe; sockets are opened anew then, since
    // the device may be another one of the same name by now.
    virtual void send(uint64_t id) = 0;
};

// Gets the id of send(), from the event loop. It must not destroy the prober.
using OnAnswer = std::function<void(uint64_t id)>;

// An error is a missing privilege, a target of another family or one without an address: the
// gateway, where the path has none. A device that is not there is no error. The kind of probe is
// not `none`. The prober must not outlive `context`.
Result<std::unique_ptr<Prober>> make_prober(asio::io_context& context, const HealthConfig& config,
                                            const ProbeTarget& target, const ProbePath& path,
                                            OnAnswer on_answer);

} // namespace linkbal
