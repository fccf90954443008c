// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/privileges.h"

#include <array>
#include <string>

#include <cap-ng.h>
#include <unistd.h>

namespace linkbal {

Status require_capabilities(std::string_view what) {
    // CAP_BPF split off CAP_SYS_ADMIN in 5.8; opening programs, maps and types by their ids, as those
    // of maps of maps are, still needs the latter. CAP_DAC_OVERRIDE: /run and /etc/iproute2, which root
    // owns and needs no capability for.
    const bool owner = ::geteuid() == 0;
    constexpr std::array needed{
        std::pair{CAP_NET_ADMIN, "CAP_NET_ADMIN"},       std::pair{CAP_BPF, "CAP_BPF"},
        std::pair{CAP_PERFMON, "CAP_PERFMON"},           std::pair{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
        std::pair{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
    };
    std::string missing;
    for (const auto& [capability, name] : needed) {
        if (owner && capability == CAP_DAC_OVERRIDE) {
            continue;
        }
        if (capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(capability)) == 0) {
            missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
        }
    }
    return missing.empty() ? Status{} : Status(fail("{} needs {}: run it as root", what, missing));
}

} // namespace linkbal
