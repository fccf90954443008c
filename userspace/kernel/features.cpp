// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/features.h"

#include <array>
#include <cerrno>
#include <memory>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <unistd.h>

#include "kernel/bpf_link.h"
#include "kernel/libbpf_log.h"
#include "kernel/netlink.h"
#include "kernel/nftables.h"
#include "util/fd.h"

namespace linkbal {

namespace {

using Btf = std::unique_ptr<btf, decltype(&btf__free)>;

bool has_function(const btf* types, const char* name) {
    return types != nullptr && btf__find_by_name_kind(types, name, BTF_KIND_FUNC) > 0;
}

enum class Lookup : uint8_t { missing, barred, usable };

struct ConntrackFunctions {
    Lookup lookup = Lookup::missing;
    bool timeout = false;
};

ConntrackFunctions functions_in(const btf* types) {
    return {.lookup = has_function(types, "bpf_skb_ct_lookup") ? Lookup::usable : Lookup::missing,
            .timeout = has_function(types, "bpf_ct_change_timeout")};
}

// To call a function of a module, its types have to be opened by their id. That and asking for ids is
// for CAP_SYS_ADMIN only (kernel/bpf/syscall.c), and there is no other way to a descriptor of them.
bool may_open_types_by_id() {
    __u32 id = 0;
    return bpf_btf_get_next_id(0, &id) == 0 || errno != EPERM;
}

Result<ConntrackFunctions> find_conntrack_functions(btf* kernel) {
    if (const auto found = functions_in(kernel); found.lookup == Lookup::usable) {
        return found;
    }
    const Btf module(btf__load_module_btf("nf_conntrack", kernel), &btf__free);
    // Types that libbpf can't read are as good as none.
    if (!module && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
        return fail_errno(errno, "read the BTF of the kernel module nf_conntrack");
    }
    auto found = functions_in(module.get());
    if (found.lookup == Lookup::usable && !may_open_types_by_id()) {
        found = {.lookup = Lookup::barred, .timeout = false};
    }
    return found;
}

// libbpf says ESRCH whatever keeps it from reading them.
Result<Btf> load_kernel_types() {
    constexpr const char* path = "/sys/kernel/btf/vmlinux";
    if (!Fd(open(path, O_RDONLY | O_CLOEXEC)) && errno != ENOENT) {
        return fail_errno(errno, fmt::format("read the kernel's BTF from {}", path));
    }
    Btf kernel(btf__load_vmlinux_btf(), &btf__free);
    if (!kernel && errno != ENOENT && errno != ESRCH) {
        return fail_errno(errno, fmt::format("read the kernel's BTF from {}", path));
    }
    if (!kernel) {
        return fail("this kernel has no BTF ({}): Linux 5.4 and later with CONFIG_DEBUG_INFO_BTF "
                    "has it",
                    path);
    }
    return kernel;
}

// "return 0", the smallest tc program.
Result<Fd> load_trivial_program() {
    constexpr uint8_t move = BPF_ALU64 | BPF_MOV | BPF_K;
    constexpr uint8_t leave = BPF_JMP | BPF_EXIT;
    const std::array<bpf_insn, 2> code{{{move, 0, 0, 0, 0}, {leave, 0, 0, 0, 0}}};
    Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "lb_probe", "GPL", code.data(), code.size(),
                             nullptr));
    if (!program) {
        return fail_errno(errno, errno == EPERM ? "load a BPF program, which needs CAP_BPF and "
                                                  "CAP_NET_ADMIN"
                                                : "load a BPF program");
    }
    return program;
}

// A kernel that knows TCX says that there is no such device, an older one that the attach type is
// invalid.
Result<bool> has_tcx(const Fd& program) {
    constexpr int no_device = 0x7fffffff;
    const Fd link(bpf_link_create(program.get(), no_device, tcx_attach_type(true), nullptr));
    if (errno != ENODEV && errno != EINVAL) {
        return fail_errno(errno, "ask the kernel for TCX");
    }
    return errno == ENODEV;
}

} // namespace

// Any request to conntrack's netlink interface makes the kernel load its modules.
void load_conntrack_module() {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (socket) {
        const nfgenmsg header{.nfgen_family = 0, .version = NFNETLINK_V0, .res_id = 0};
        constexpr uint16_t type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS;
        (void)socket->request(NetlinkMessage(type, 0, header), "asking for conntrack");
    }
}

Result<KernelFeatures> probe_features() {
    const LibbpfLog quiet; // what is missing is told by the result
    const auto program = load_trivial_program();
    if (!program) {
        return tl::unexpected(program.error());
    }
    const auto kernel = load_kernel_types();
    if (!kernel) {
        return tl::unexpected(kernel.error());
    }
    const auto tcx = has_tcx(*program);
    auto conntrack = find_conntrack_functions(kernel->get());
    if (conntrack && conntrack->lookup == Lookup::missing) {
        load_conntrack_module();
        conntrack = find_conntrack_functions(kernel->get());
    }
    if (!tcx || !conntrack) {
        return tl::unexpected(tcx ? conntrack.error() : tcx.error());
    }
    const auto reject = can_reject_in_prerouting();
    if (!reject) {
        return tl::unexpected(reject.error());
    }
    return KernelFeatures{.conntrack_lookup = conntrack->lookup == Lookup::usable,
                          .conntrack_timeout = conntrack->timeout,
                          .conntrack_barred = conntrack->lookup == Lookup::barred,
                          .tcx = *tcx,
                          .prerouting_reject = *reject};
}

std::vector<std::string> missing_features(const KernelFeatures& features) {
    std::vector<std::string> lines;
    if (features.conntrack_barred) {
        lines.emplace_back("no conntrack lookup for tc programs (nf_conntrack is a module of this "
                           "kernel, whose functions only CAP_SYS_ADMIN can use): UDP is spread by "
                           "ports, not in turn, and nothing is forwarded by XDP or tc");
    } else if (!features.conntrack_lookup) {
        lines.emplace_back(
            "no conntrack lookup for tc programs (bpf_skb_ct_lookup, Linux 6.0 and "
            "later): UDP is spread by ports, not in turn, and nothing is forwarded by "
            "XDP or tc");
    }
    if (!features.tcx) {
        lines.emplace_back("no TCX (Linux 6.6 and later): clsact filters carry the programs");
    }
    if (!features.prerouting_reject) {
        lines.emplace_back(
            "no reject in prerouting (nft_reject_inet, Linux 5.9 and later): clients "
            "of a failed uplink find out by their own timeouts");
    }
    return lines;
}

} // namespace linkbal
