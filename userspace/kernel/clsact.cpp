// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/clsact.h"

#include <array>
#include <cerrno>

#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "core/attachment.h"
#include "kernel/libbpf_log.h"
#include "kernel/netlink.h"

namespace linkbal {

namespace {

bpf_tc_hook hook_of(uint32_t ifindex, int attach_point) {
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = static_cast<int>(ifindex);
    hook.attach_point = static_cast<bpf_tc_attach_point>(attach_point);
    return hook;
}

bpf_tc_hook hook_of(uint32_t ifindex, bool ingress) {
    return hook_of(ifindex, ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
}

bpf_tc_opts our_filter() {
    bpf_tc_opts filter{};
    filter.sz = sizeof(filter);
    filter.handle = clsact_handle;
    filter.priority = clsact_priority;
    return filter;
}

bool is_absent(int error) { return error == -ENOENT || error == -EINVAL || error == -ENODEV; }

Result<bool> has_filters(uint32_t ifindex, uint32_t direction) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    tcmsg header{};
    header.tcm_ifindex = static_cast<int>(ifindex);
    header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction);
    bool found = false;
    const auto read = socket->dump(
        NetlinkMessage(RTM_GETTFILTER, NLM_F_DUMP, header), "reading tc filters",
        [&](const nlmsghdr*) { found = true; }, [&] { found = false; });
    return read ? Result<bool>(found) : tl::unexpected(read.error());
}

} // namespace

Result<bool> clsact_attach(int program, uint32_t ifindex, bool ingress) {
    const LibbpfLog log;
    auto hook = hook_of(ifindex, ingress);
    const int made = bpf_tc_hook_create(&hook);
    if (made != 0 && made != -EEXIST) {
        return fail_errno(-made, "adding a clsact qdisc");
    }
    auto filter = our_filter();
    filter.prog_fd = program;
    filter.flags = BPF_TC_F_REPLACE;
    if (const int error = bpf_tc_attach(&hook, &filter); error != 0) {
        if (made == 0) {
            (void)clsact_remove_qdisc(ifindex);
        }
        return fail_errno(-error, "adding a clsact filter");
    }
    return made == 0;
}

Status clsact_detach(uint32_t ifindex, bool ingress) {
    const LibbpfLog log;
    const auto hook = hook_of(ifindex, ingress);
    const auto filter = our_filter();
    if (const int error = bpf_tc_detach(&hook, &filter); error != 0 && !is_absent(error)) {
        return fail_errno(-error, "removing a clsact filter");
    }
    return {};
}

Status clsact_remove_qdisc(uint32_t ifindex) {
    const LibbpfLog log;
    for (const uint32_t direction : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
        const auto used = has_filters(ifindex, direction);
        if (!used || *used) {
            return {}; // no such device any more, or someone's
        }
    }
    auto hook = hook_of(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
    if (const int error = bpf_tc_hook_destroy(&hook); error != 0 && !is_absent(error)) {
        return fail_errno(-error, "removing the clsact qdisc");
    }
    return {};
}

uint32_t clsact_program(uint32_t ifindex, bool ingress) {
    const LibbpfLog log;
    const auto hook = hook_of(ifindex, ingress);
    auto filter = our_filter();
    return bpf_tc_query(&hook, &filter) == 0 ? filter.prog_id : 0;
}

} // namespace linkbal
