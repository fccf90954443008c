// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/attachments.h"

#include <cerrno>
#include <charconv>
#include <string_view>

#include <net/if.h>

#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/clsact.h"
#include "kernel/tcx.h"

namespace linkbal {

namespace {

std::string links(const std::string& directory) { return directory + "/links"; }
std::string filters(const std::string& directory) { return directory + "/filters"; }
std::string qdiscs(const std::string& directory) { return directory + "/qdiscs"; }

bool is_ingress(const Attachment& attachment) { return attachment.role == AttachRole::lan_ingress; }

std::string entry_name(const Attachment& attachment) {
    return fmt::format("{}-{}", pin_name(attachment.device), attach_direction(attachment.role));
}
std::string link_path(const std::string& directory, const Attachment& attachment) {
    return fmt::format("{}/{}", links(directory), entry_name(attachment));
}
std::string filter_path(const std::string& directory, const Attachment& attachment) {
    return fmt::format("{}/{}", filters(directory), entry_name(attachment));
}
std::string qdisc_path(const std::string& directory, std::string_view device, uint32_t ifindex) {
    return fmt::format("{}/{}@{}", qdiscs(directory), pin_name(device), ifindex);
}

std::string describe(const Attachment& attachment) {
    return fmt::format("interface {} {}", attachment.device, attach_direction(attachment.role));
}

Status with_directories(const std::vector<std::string>& paths) {
    for (const auto& path : paths) {
        if (auto made = make_directory(path); !made) {
            return made;
        }
    }
    return {};
}

Status attach_clsact(const std::string& directory, const Attachment& attachment, const Fd& program,
                     uint32_t ifindex) {
    // Written down first: a note without a filter is mended, a filter without a note is lost.
    const auto noted = with_directories(
        {filters(directory), qdiscs(directory), filter_path(directory, attachment)});
    if (!noted) {
        return noted;
    }
    const auto made_qdisc = clsact_attach(program.get(), ifindex, is_ingress(attachment));
    if (!made_qdisc) {
        (void)remove_directory(filter_path(directory, attachment));
        return tl::unexpected(made_qdisc.error());
    }
    return *made_qdisc ? make_directory(qdisc_path(directory, attachment.device, ifindex))
                       : Status();
}

bool has_filter_notes(const std::string& directory, const std::string& device) {
    const auto prefix = pin_name(device) + "-";
    for (const auto& name : list_directory(filters(directory))) {
        if (name == prefix + "ingress" || name == prefix + "egress") {
            return true;
        }
    }
    return false;
}

Status release_qdisc(const std::string& directory, const std::string& device, uint32_t ifindex) {
    const auto prefix = pin_name(device) + "@";
    for (const auto& name : list_directory(qdiscs(directory))) {
        if (!name.starts_with(prefix)) {
            continue;
        }
        const auto path = qdiscs(directory) + "/" + name;
        if (path == qdisc_path(directory, device, ifindex)) {
            if (auto removed = clsact_remove_qdisc(ifindex); !removed) {
                return removed;
            }
        }
        if (auto removed = remove_directory(path); !removed) {
            return removed;
        }
    }
    return {};
}

Status detach_clsact(const std::string& directory, const Attachment& attachment) {
    const uint32_t ifindex = if_nametoindex(attachment.device.c_str());
    const auto detached = ifindex == 0 ? Status() : clsact_detach(ifindex, is_ingress(attachment));
    if (!detached) {
        return detached;
    }
    if (auto removed = remove_directory(filter_path(directory, attachment)); !removed) {
        return removed;
    }
    return has_filter_notes(directory, attachment.device)
               ? Status()
               : release_qdisc(directory, attachment.device, ifindex);
}

std::string program_name(uint32_t id) {
    const Fd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    return program && bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 ? info.name : "";
}

// "DEVICE-DIRECTION". What an egress program is for shows only when it is known.
Attachment parse_entry(std::string_view name, bool tcx, uint32_t program_id) {
    const auto dash = name.rfind('-');
    const bool ingress = name.substr(dash + 1) == "ingress";
    const auto fallback = ingress ? AttachRole::lan_ingress : AttachRole::uplink_egress;
    return {interface_of_pin(name.substr(0, dash)),
            role_of_program(program_name(program_id)).value_or(fallback), tcx};
}

} // namespace

Status attach_to_device(const std::string& directory, const Attachment& attachment,
                        const Fd& program) {
    const uint32_t ifindex = if_nametoindex(attachment.device.c_str());
    if (ifindex == 0) {
        return tl::unexpected(fail_errno(ENODEV, describe(attachment)).value());
    }
    auto attached = Status();
    if (!attachment.tcx) {
        attached = attach_clsact(directory, attachment, program, ifindex);
    } else if (attached = with_directories({links(directory)}); attached) {
        attached = tcx_attach(program.get(), ifindex, is_ingress(attachment),
                              link_path(directory, attachment));
    }
    return attached.map_error(
        [&](const Error& error) { return error.within(describe(attachment)); });
}

Status detach_from_device(const std::string& directory, const Attachment& attachment) {
    const auto detached = attachment.tcx ? tcx_detach(link_path(directory, attachment))
                                         : detach_clsact(directory, attachment);
    return detached.map_error(
        [&](const Error& error) { return error.within(describe(attachment)); });
}

Result<std::vector<FoundAttachment>> find_attachments(const std::string& directory) {
    std::vector<FoundAttachment> found;
    for (const auto& name : list_directory(links(directory))) {
        const auto link = tcx_query(links(directory) + "/" + name);
        if (!link) {
            return tl::unexpected(link.error());
        }
        auto attachment = parse_entry(name, true, link->program_id);
        const bool alive =
            link->ifindex != 0 && link->ifindex == if_nametoindex(attachment.device.c_str());
        found.push_back({std::move(attachment), alive ? link->program_id : 0});
    }
    for (const auto& name : list_directory(filters(directory))) {
        auto attachment = parse_entry(name, false, 0);
        const uint32_t ifindex = if_nametoindex(attachment.device.c_str());
        const uint32_t program = ifindex == 0 ? 0 : clsact_program(ifindex, is_ingress(attachment));
        found.push_back({parse_entry(name, false, program), program});
    }
    return found;
}

Status detach_all(const std::string& directory) {
    const auto found = find_attachments(directory);
    if (!found) {
        return tl::unexpected(found.error());
    }
    for (const auto& [attachment, program] : *found) {
        if (auto detached = detach_from_device(directory, attachment); !detached) {
            return detached;
        }
    }
    for (const auto& path : {links(directory), filters(directory), qdiscs(directory)}) {
        if (auto removed = remove_directory(path); !removed) {
            return removed;
        }
    }
    return {};
}

} // namespace linkbal
