// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/xdp_link.h"

#include <cerrno>

#include "kernel/attachments.h"
#include "kernel/bpf_link.h"
#include "kernel/bpffs.h"
#include "kernel/interface_index.h"
#include "kernel/link_details.h"

namespace linkbal {

// Many drivers take redirected frames only while they have a program: the question is asked with ours
// there.
Status attach_xdp(const std::string& directory, const Attachment& at, const Fd& program) {
    const auto ifindex = interface_index(at.device);
    const auto ours = ifindex ? own_xdp_program(directory, at.device, *ifindex) : ifindex;
    if (!ours) {
        return tl::unexpected(ours.error());
    }
    auto attached = attach_to_device(directory, at, program);
    const auto receives = attached && *ours == 0 ? receives_redirects(*ifindex) : true;
    if (attached && (!receives || !*receives)) {
        (void)detach_from_device(directory, at); // the first error is the one to report
        return receives ? Status(fail_errno(EOPNOTSUPP,
                                            fmt::format("redirecting by XDP to {}", at.device)))
                        : tl::unexpected(receives.error());
    }
    return attached;
}

Result<uint32_t> own_xdp_program(const std::string& directory, const std::string& device,
                                 uint32_t ifindex) {
    const auto path = note_path(directory, {device, AttachRole::xdp, true});
    for (const auto& pin : {path, unfinished(path)}) {
        const auto link = link_query(pin);
        if (!link) {
            return tl::unexpected(link.error());
        }
        if (link->ifindex != 0 && link->ifindex == ifindex) {
            return link->program_id;
        }
    }
    return 0;
}

} // namespace linkbal
