// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_check_firewall.h"

#include <algorithm>
#include <limits>
#include <span>

#include "core/desired.h"
#include "core/services.h"

namespace linkbal {

namespace {

using Networks = std::span<const Prefix>;

std::string forward_path(size_t index, std::string_view key) {
    return fmt::format("forward[{}].{}", index, key);
}

bool overlap_with_any(const Prefix& network, Networks others) {
    return std::ranges::any_of(others,
                               [&](const Prefix& other) { return other.overlaps(network); });
}

// No networks mean anybody.
bool sources_meet(Networks a, Networks b) {
    return a.empty() || b.empty() || std::ranges::any_of(a, [&](const Prefix& network) {
               return overlap_with_any(network, b);
           });
}

// No names mean all uplinks.
bool uplinks_meet(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return a.empty() || b.empty() || std::ranges::find_first_of(a, b) != a.end();
}

// --- each forward by itself -----------------------------------------------------------------------

void check_uplinks(const Config& config, size_t index, Findings& findings) {
    std::vector<std::string> names;
    std::ranges::transform(config.uplinks, std::back_inserter(names), &UplinkConfig::name);
    const auto& uplinks = config.forwards[index].uplinks;
    for (size_t i = 0; i < uplinks.size(); ++i) {
        if (std::ranges::find(names, uplinks[i]) == names.end()) {
            findings.report(fmt::format("{}[{}]", forward_path(index, "uplinks"), i),
                            "uplinks: expected names of uplinks ({}), found {:?}",
                            fmt::join(names, ", "), uplinks[i]);
        }
    }
}

void check_room(const ForwardConfig& forward, size_t index, Findings& findings) {
    const unsigned more = forward.port.last - forward.port.first;
    const unsigned highest = std::numeric_limits<uint16_t>::max() - more;
    if (forward.to_port && *forward.to_port > highest) {
        findings.report(forward_path(index, "to"),
                        "to: expected {} as the highest first port, because {} ports are "
                        "forwarded, found {}",
                        highest, more + 1, *forward.to_port);
    }
}

void check_source_family(const ForwardConfig& forward, size_t index, Findings& findings) {
    for (size_t i = 0; i < forward.from.size(); ++i) {
        if (forward.from[i].family() != forward.to->family()) {
            findings.report(fmt::format("{}[{}]", forward_path(index, "from"), i),
                            "from: expected networks of {}, because the forward is to {}, found {}",
                            family_name(forward.to->family()), forward.to->str(),
                            forward.from[i].str());
        }
    }
}

// --- forwards beside one another ------------------------------------------------------------------

// Of the later one, what the earlier one takes a part of.
std::optional<ServicePorts> shared_ports(const ForwardConfig& earlier, const ForwardConfig& later) {
    for (const Transport transport : later.protocols) {
        if (std::ranges::find(earlier.protocols, transport) != earlier.protocols.end() &&
            overlap(earlier.port, later.port)) {
            return ServicePorts{transport, later.port};
        }
    }
    return std::nullopt;
}

bool meet(const ForwardConfig& a, const ForwardConfig& b) {
    return a.to->family() == b.to->family() && uplinks_meet(a.uplinks, b.uplinks) &&
           sources_meet(a.from, b.from);
}

void check_earlier(std::span<const ForwardConfig> forwards, size_t index, Findings& findings) {
    for (size_t i = 0; i < index; ++i) {
        const auto shared = shared_ports(forwards[i], forwards[index]);
        if (shared && meet(forwards[i], forwards[index])) {
            findings.report(forward_path(index, "port"),
                            "port: expected ports that no other forward takes, found {}, and "
                            "[[forward]] number {} takes {}",
                            service_text(*shared), i + 1,
                            service_text({shared->transport, forwards[i].port}));
        }
    }
}

// --- forwards beside the gateway's services -------------------------------------------------------

void report_taken_over(const ForwardConfig& forward, size_t index, const AllowConfig& allow,
                       size_t allow_index, Findings& findings) {
    for (const Transport transport : forward.protocols) {
        for (const ServicePorts& service : allow.services) {
            if (const ServicePorts taken{transport, forward.port}; overlap(taken, service)) {
                findings.report(forward_path(index, "port"),
                                "port: expected ports that are not the gateway's own, found {}, "
                                "and [[firewall.allow]] number {} opens {} to who comes by an "
                                "uplink",
                                service_text(taken), allow_index + 1, service_text(service));
            }
        }
    }
}

// `open` says whether the service is for somebody whom the forward takes over.
void check_services(const Config& config, Findings& findings, auto&& open) {
    for (size_t i = 0; i < config.forwards.size(); ++i) {
        for (size_t j = 0; j < config.firewall->allow.size(); ++j) {
            const AllowConfig& allow = config.firewall->allow[j];
            if (open(allow.from, config.forwards[i])) {
                report_taken_over(config.forwards[i], i, allow, j, findings);
            }
        }
    }
}

void check_rate(const AllowConfig& allow, const std::string& path, Findings& findings) {
    if (!allow.from.uplinks && allow.from.networks.empty()) {
        findings.report(path,
                        "rate: expected a service for others than the LAN, which has no limit, "
                        "found one for the LAN alone");
    }
    if (!allow.protocols.empty()) {
        findings.report(path,
                        "rate: expected services with ports, because a rate is of connections of "
                        "TCP and UDP, found {:?}",
                        protocol_name(allow.protocols.front()));
    }
}

void check_rates(const std::vector<AllowConfig>& allow, Findings& findings) {
    for (size_t i = 0; i < allow.size(); ++i) {
        if (allow[i].rate) {
            check_rate(allow[i], fmt::format("firewall.allow[{}].rate", i), findings);
        }
    }
}

// --- both beside the LAN --------------------------------------------------------------------------

void check_inside(const Config& config, Networks networks, Findings& findings) {
    for (size_t i = 0; i < config.forwards.size(); ++i) {
        const auto& to = *config.forwards[i].to;
        const auto own = of_family(networks, to.family());
        const auto has = [&](const Prefix& network) { return network.contains(to); };
        if (!own.empty() && std::ranges::none_of(own, has)) {
            std::vector<std::string> names;
            std::ranges::transform(own, std::back_inserter(names), &Prefix::str);
            findings.report(forward_path(i, "to"),
                            "to: expected an address in the LAN ({}), found {}",
                            fmt::join(names, ", "), to.str());
        }
    }
}

void check_expected_sources(const std::vector<Prefix>& sources, Networks networks,
                            Findings& findings) {
    for (size_t i = 0; i < sources.size(); ++i) {
        for (const Prefix& network : networks) {
            if (network.overlaps(sources[i])) {
                findings.report(fmt::format("firewall.expected_sources[{}]", i),
                                "expected_sources: expected networks outside of the LAN, found {}, "
                                "which overlaps with {}",
                                sources[i].str(), network.str());
            }
        }
    }
}

// Networks that a service is open to: hosts of the LAN do not come by an uplink.
void check_services_of_networks(const Config& config, Networks networks, Findings& findings) {
    check_services(config, findings, [&](const Origins& from, const ForwardConfig& forward) {
        const auto lan = of_family(networks, forward.to->family());
        return !lan.empty() && std::ranges::any_of(from.networks, [&](const Prefix& network) {
            return network.family() == forward.to->family() && !overlap_with_any(network, lan) &&
                   sources_meet(std::span(&network, 1), forward.from);
        });
    });
}

// A family that `networks` has none of is not judged.
void check_beside_lan(const Config& config, Networks networks, Findings& findings) {
    check_inside(config, networks, findings);
    if (config.firewall) {
        check_expected_sources(config.firewall->expected_sources, networks, findings);
        check_services_of_networks(config, networks, findings);
    }
}

// --- both beside this machine ---------------------------------------------------------------------

void check_not_here(const Config& config, const Facts& facts, Findings& findings) {
    for (size_t i = 0; i < config.forwards.size(); ++i) {
        const auto& to = *config.forwards[i].to;
        if (const Interface* owner = owner_of(to, facts)) {
            findings.report(forward_path(i, "to"),
                            "to: expected a host of the LAN, found {}, which {} itself has",
                            to.str(), owner->name);
        }
    }
}

void check_family_here(const Config& config, Networks networks, Findings& findings) {
    for (size_t i = 0; i < config.forwards.size(); ++i) {
        const auto& to = *config.forwards[i].to;
        if (!networks.empty() && of_family(networks, to.family()).empty()) {
            findings.report(forward_path(i, "to"),
                            "to: expected an address in the LAN, which has no {}, found {}",
                            family_name(to.family()), to.str());
        }
    }
}

} // namespace

void check_firewall(const Config& config, Findings& findings) {
    for (size_t i = 0; i < config.forwards.size(); ++i) {
        check_uplinks(config, i, findings);
        check_room(config.forwards[i], i, findings);
        check_source_family(config.forwards[i], i, findings);
        check_earlier(config.forwards, i, findings);
    }
    if (config.firewall) {
        check_rates(config.firewall->allow, findings);
        check_services(config, findings,
                       [](const Origins& from, const ForwardConfig&) { return from.uplinks; });
    }
    check_beside_lan(config, config.lan.networks, findings);
}

void check_firewall_here(const Config& config, const Facts& facts, Findings& findings) {
    // The families that check_firewall() has judged come out of it the same.
    const auto networks = lan_networks(config, facts);
    check_beside_lan(config, networks, findings);
    check_family_here(config, networks, findings);
    check_not_here(config, facts, findings);
}

} // namespace linkbal
