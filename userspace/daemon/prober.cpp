// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/prober.h"

#include "daemon/probers.h"

namespace linkbal {

Result<std::unique_ptr<Prober>> make_prober(asio::io_context& context, const HealthConfig& config,
                                            const ProbeTarget& target, const ProbePath& path,
                                            OnAnswer on_answer) {
    const auto address = target.address ? target.address : path.gateway;
    if (!address) {
        return fail("probe by {}: no {} gateway", path.device, family_name(path.family));
    }
    if (address->family() != path.family) {
        return fail("probe {} by {}: not {}", address->str(), path.device,
                    family_name(path.family));
    }
    ProberSetup setup{context, config, target, path, *address, std::move(on_answer)};
    switch (config.probe) {
    case ProbeKind::icmp:
        return make_icmp_prober(std::move(setup));
    case ProbeKind::tcp:
        return make_tcp_prober(std::move(setup));
    case ProbeKind::dns:
        return make_dns_prober(std::move(setup));
    case ProbeKind::http:
        return make_http_prober(std::move(setup));
    case ProbeKind::none:
        break;
    }
    return fail("probe {} by {}: probes are switched off", address->str(), path.device);
}

} // namespace linkbal
