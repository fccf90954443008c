// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/privileges.h"

#include <array>
#include <string>

#include <cap-ng.h>

namespace linkbal {

Status require_capabilities(std::string_view what) {
    // CAP_BPF split off CAP_SYS_ADMIN in 5.8; mounting bpffs and expediting RCU still need the
    // latter, but only sometimes, and say so themselves. CAP_DAC_OVERRIDE: /run and /etc/iproute2.
    constexpr std::array needed{
        std::pair{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
        std::pair{CAP_BPF, "CAP_BPF"},
        std::pair{CAP_PERFMON, "CAP_PERFMON"},
        std::pair{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
    };
    std::string missing;
    for (const auto& [capability, name] : needed) {
        if (capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(capability)) == 0) {
            missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
        }
    }
    return missing.empty() ? Status{} : Status(fail("{} needs {}: run it as root", what, missing));
}

} // namespace linkbal
