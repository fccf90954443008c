// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/privileges.h"

#include <array>
#include <string>
#include <tuple>

#include <cap-ng.h>
#include <unistd.h>

#include "kernel/bpffs.h"

namespace linkbal {

namespace {

bool have(int capability) {
    return capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(capability)) != 0;
}

} // namespace

// CAP_BPF and CAP_PERFMON split off CAP_SYS_ADMIN in 5.8, which still stands for both. By itself it is
// needed to mount a bpffs, or to be sure that there is none (kernel/bpffs.h); who calls a conntrack that is
// a module says so (kernel/features.h). Not CAP_NET_RAW: what is not done without it is warned of.
// CAP_DAC_OVERRIDE: /run and /etc/iproute2, which root owns and needs no capability for.
Status require_capabilities(std::string_view what) {
    const bool all_of_bpf = have(CAP_SYS_ADMIN);
    const std::array needed{
        std::tuple{CAP_NET_ADMIN, "CAP_NET_ADMIN", false},
        std::tuple{CAP_BPF, "CAP_BPF", all_of_bpf},
        std::tuple{CAP_PERFMON, "CAP_PERFMON", all_of_bpf},
        std::tuple{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", has_bpffs()},
        std::tuple{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", ::geteuid() == 0},
    };
    std::string missing;
    for (const auto& [capability, name, dispensable] : needed) {
        if (!dispensable && !have(capability)) {
            missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
        }
    }
    return missing.empty() ? Status{} : Status(fail("{} needs {}: run it as root", what, missing));
}

} // namespace linkbal
