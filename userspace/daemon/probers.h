// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of probers, for make_prober(). `target` has the path's family.
#pragma once

#include "daemon/prober.h"

namespace linkbal {

struct ProberSetup {
    asio::io_context& context;
    const HealthConfig& config;
    const ProbeTarget& target;
    ProbePath path;
    IpAddress address; // the target's, or that of the path's gateway
    OnAnswer on_answer;
};

// Answered: an echo reply of the target.
Result<std::unique_ptr<Prober>> make_icmp_prober(ProberSetup setup);
// Answered: a connection. A refusal is no answer: whoever asks for a port wants the service.
Result<std::unique_ptr<Prober>> make_tcp_prober(ProberSetup setup);
// Answered: NOERROR or NXDOMAIN to the question that was asked.
Result<std::unique_ptr<Prober>> make_dns_prober(ProberSetup setup);
// Answered: the configured status, or any 2xx.
Result<std::unique_ptr<Prober>> make_http_prober(ProberSetup setup);

} // namespace linkbal
