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
#include "kernel/netlink_attributes.h"

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

Result<std::string> clsact_qdisc_kind(uint32_t ifindex) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    std::string kind;
    const auto read = socket->dump(
        NetlinkMessage(RTM_GETQDISC, 0, tcmsg{}), "reading qdiscs",
        [&](const nlmsghdr* message) {
            const auto* header = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
            if (header->tcm_ifindex == static_cast<int>(ifindex) &&
                header->tcm_parent == TC_H_CLSACT) {
                kind = Attributes(message, sizeof(*header)).text(TCA_KIND);
            }
        },
        [&] { kind.clear(); });
    return read ? Result<std::string>(kind) : tl::unexpected(read.error());
}

Result<bool> clsact_add_qdisc(uint32_t ifindex) {
    const LibbpfLog log;
    auto hook = hook_of(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
    const int error = bpf_tc_hook_create(&hook);
    if (error != 0 && error != -EEXIST) {
        return fail_errno(-error, "adding a clsact qdisc");
    }
    return error == 0;
}

Result<bool> clsact_has_filters(uint32_t ifindex) {
    for (const uint32_t direction : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
        auto used = has_filters(ifindex, direction);
        if (!used || *used) {
            return used;
        }
    }
    return false;
}

Status clsact_remove_qdisc(uint32_t ifindex) {
    const LibbpfLog log;
    const auto used = clsact_has_filters(ifindex);
    if (!used && used.error().code != ENODEV) {
        return tl::unexpected(used.error());
    }
    if (!used || *used) {
        return {};
    }
    auto hook = hook_of(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
    if (const int error = bpf_tc_hook_destroy(&hook); error != 0 && !is_absent(error)) {
        return fail_errno(-error, "removing the clsact qdisc");
    }
    return {};
}

Status clsact_attach(int program, uint32_t ifindex, bool ingress) {
    const LibbpfLog log;
    const auto hook = hook_of(ifindex, ingress);
    auto filter = our_filter();
    filter.prog_fd = program;
    filter.flags = BPF_TC_F_REPLACE;
    if (const int error = bpf_tc_attach(&hook, &filter); error != 0) {
        return fail_errno(-error, "adding a clsact filter");
    }
    return {};
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

Result<uint32_t> clsact_program(uint32_t ifindex, bool ingress) {
    const LibbpfLog log;
    const auto hook = hook_of(ifindex, ingress);
    auto filter = our_filter();
    const int error = bpf_tc_query(&hook, &filter);
    if (error != 0 && !is_absent(error)) {
        return fail_errno(-error, "reading a clsact filter");
    }
    return error == 0 ? filter.prog_id : 0;
}

} // namespace linkbal
