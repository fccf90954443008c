// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/bpf_link.h"

#include <cerrno>

#include <linux/if_link.h>

#include "kernel/bpffs.h"

namespace linkbal {

namespace {

Result<BpfLink> link_info(const Fd& link, const std::string& path) {
    bpf_link_info info{};
    __u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(link.get(), &info, &size) != 0) {
        return fail_errno(errno, fmt::format("asking for the link {}", path));
    }
    // The kernel's `tcx` member, {ifindex, attach_type}, lies where `xdp` does.
    return BpfLink{.ifindex = info.xdp.ifindex, .program_id = info.prog_id};
}

Status create(int program, uint32_t ifindex, bpf_attach_type type, const std::string& path) {
    bpf_link_create_opts options{};
    options.sz = sizeof(options);
    options.flags = type == BPF_XDP ? XDP_FLAGS_DRV_MODE : 0;
    const Fd link(bpf_link_create(program, static_cast<int>(ifindex), type, &options));
    if (!link) {
        return fail_errno(errno, type == BPF_XDP ? "attaching the program by native XDP"
                                                 : "attaching the program by TCX");
    }
    auto pinned = replace_pin(link.get(), path);
    if (!pinned) {
        (void)bpf_link_detach(link.get()); // closing it does so some time later
    }
    return pinned;
}

} // namespace

Status link_attach(int program, uint32_t ifindex, bpf_attach_type type, const std::string& path) {
    const auto link = open_pin(path);
    if (!link) {
        return tl::unexpected(link.error());
    }
    if (!*link) {
        return create(program, ifindex, type, path);
    }
    const auto info = link_info(*link, path);
    if (!info) {
        return tl::unexpected(info.error());
    }
    if (info->ifindex != ifindex) {
        return create(program, ifindex, type, path);
    }
    if (bpf_link_update(link->get(), program, nullptr) != 0) {
        return fail_errno(errno, fmt::format("replacing the program of the link {}", path));
    }
    return {};
}

// The link of a removed pin is freed some time later; a detached one is off at once.
Status link_detach(const std::string& path) {
    const auto link = open_pin(path);
    if (!link) {
        return tl::unexpected(link.error());
    }
    if (*link && bpf_link_detach(link->get()) != 0 && errno != ENOLINK) {
        return fail_errno(errno, fmt::format("detaching the link {}", path));
    }
    return remove_pin(path);
}

Result<BpfLink> link_query(const std::string& path) {
    const auto link = open_pin(path);
    if (!link) {
        return tl::unexpected(link.error());
    }
    return *link ? link_info(*link, path) : BpfLink{};
}

} // namespace linkbal
