// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/attachments.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>

#include "kernel/bpf_link.h"
#include "kernel/bpf_map.h"
#include "kernel/bpffs.h"
#include "kernel/clsact.h"
#include "kernel/interface_index.h"
#include "kernel/program_pins.h"

namespace linkbal {

namespace {

std::string links(const std::string& directory) { return directory + "/links"; }
std::string filters(const std::string& directory) { return directory + "/filters"; }
std::string qdiscs(const std::string& directory) { return directory + "/qdiscs"; }

bool is_ingress(const Attachment& attachment) {
    return attach_direction(attachment.role) == "ingress";
}

bpf_attach_type attach_type(const Attachment& attachment) {
    return attachment.role == AttachRole::xdp ? BPF_XDP : tcx_attach_type(is_ingress(attachment));
}

// Links and filters are written down in the same way.
std::string notes(const std::string& directory, bool tcx) {
    return tcx ? links(directory) : filters(directory);
}

} // namespace

std::string note_path(const std::string& directory, const Attachment& attachment) {
    return fmt::format("{}/{}-{}", notes(directory, attachment.tcx), pin_name(attachment.device),
                       attach_program(attachment.role));
}

namespace {

std::string qdisc_path(const std::string& directory, std::string_view device, uint32_t ifindex) {
    return fmt::format("{}/{}@{}", qdiscs(directory), pin_name(device), ifindex);
}

std::string describe(const Attachment& attachment) {
    return fmt::format("interface {} {}", attachment.device, attach_direction(attachment.role));
}

struct Note {
    std::string path;
    Attachment attachment;
};

// "DEVICE-PROGRAM", of an unfinished pin with a mark behind it.
Note parse_note(const std::string& parent, std::string_view name, bool tcx) {
    const auto finished = name.substr(0, name.size() - (is_unfinished(name) ? 1 : 0));
    const auto dash = std::min(finished.rfind('-'), finished.size());
    const auto program = finished.substr(std::min(dash + 1, finished.size()));
    return {fmt::format("{}/{}", parent, name),
            {interface_of_pin(finished.substr(0, dash)),
             role_of_program(program).value_or(AttachRole::uplink_egress), tcx}};
}

// Unfinished ones last: those were to take the others' places.
Result<std::vector<Note>> read_notes(const std::string& directory, bool tcx) {
    const auto parent = notes(directory, tcx);
    const auto names = list_directory(parent);
    if (!names) {
        return tl::unexpected(names.error());
    }
    std::vector<Note> found;
    std::ranges::transform(*names, std::back_inserter(found),
                           [&](const std::string& name) { return parse_note(parent, name, tcx); });
    std::ranges::stable_partition(found,
                                  [](const Note& note) { return !is_unfinished(note.path); });
    return found;
}

Result<std::vector<Note>> notes_of_place(const std::string& directory,
                                         const Attachment& attachment) {
    auto found = read_notes(directory, attachment.tcx);
    if (found) {
        std::erase_if(*found,
                      [&](const Note& note) { return !same_place(note.attachment, attachment); });
    }
    return found;
}

// What is written down for this place gets the name that it is to have: its role changes, or it was
// left unfinished. True if there is anything.
Result<bool> settle(const std::string& directory, const Attachment& attachment) {
    const auto found = notes_of_place(directory, attachment);
    if (!found) {
        return tl::unexpected(found.error());
    }
    const auto path = note_path(directory, attachment);
    for (const auto& note : *found) {
        const auto renamed = note.path == path ? Status() : rename_pin(note.path, path);
        if (!renamed) {
            return tl::unexpected(renamed.error());
        }
    }
    return !found->empty();
}

std::optional<AttachRole> role_of(const Fd& program) {
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    return program && bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0
               ? role_of_program(info.name)
               : std::nullopt;
}

// The program that runs at a note's place, 0 if there is none.
Result<uint32_t> running_program(const Note& note) {
    const auto ifindex = interface_index(note.attachment.device);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    if (!note.attachment.tcx) {
        return *ifindex == 0 ? Result<uint32_t>(0)
                             : clsact_program(*ifindex, is_ingress(note.attachment));
    }
    const auto link = link_query(note.path);
    if (!link) {
        return tl::unexpected(link.error());
    }
    return link->ifindex != 0 && link->ifindex == *ifindex ? link->program_id : 0;
}

// Its role is that of the program which runs: a process may have been killed after it renamed the
// note and before it replaced the program.
Result<FoundAttachment> look_at(std::vector<ProgramPin>& pins, const Note& note) {
    const auto id = running_program(note);
    const auto program = id ? find_program(pins, *id) : tl::unexpected(id.error());
    if (!program) {
        return tl::unexpected(program.error());
    }
    const auto role = *program != nullptr ? role_of_program((*program)->name) : std::nullopt;
    auto attachment = note.attachment;
    attachment.role = role.value_or(attachment.role);
    return FoundAttachment{attachment, *id, is_unfinished(note.path)};
}

Status with_directories(const std::vector<std::string>& paths) {
    for (const auto& path : paths) {
        if (auto made = make_directory(path); !made) {
            return made;
        }
    }
    return {};
}

Status attach_link(const std::string& directory, const Attachment& attachment, const Fd& program,
                   uint32_t ifindex) {
    if (auto made = make_directory(links(directory)); !made) {
        return made;
    }
    if (const auto settled = settle(directory, attachment); !settled) {
        return tl::unexpected(settled.error());
    }
    return link_attach(program.get(), ifindex, attach_type(attachment),
                       note_path(directory, attachment));
}

Status make_qdisc(const std::string& note, uint32_t ifindex) {
    if (auto noted = make_directory(note); !noted) {
        return noted;
    }
    const auto made = clsact_add_qdisc(ifindex);
    if (!made || !*made) {
        auto removed = remove_directory(note);
        return made ? removed : tl::unexpected(made.error());
    }
    return {};
}

// Others' filters and none of ours: our qdisc was removed, and this one is somebody else's.
Status forget_foreign_qdisc(const std::string& note, uint32_t ifindex) {
    for (const bool ingress : {true, false}) {
        const auto ours = clsact_program(ifindex, ingress);
        if (!ours || *ours != 0) {
            return ours ? Status() : tl::unexpected(ours.error());
        }
    }
    const auto used = clsact_has_filters(ifindex);
    if (!used || !*used) {
        return used ? Status() : tl::unexpected(used.error());
    }
    return remove_directory(note);
}

Status attach_clsact(const std::string& directory, const Attachment& attachment, const Fd& program,
                     uint32_t ifindex) {
    const auto kind = clsact_qdisc_kind(ifindex);
    if (!kind) {
        return tl::unexpected(kind.error());
    }
    if (*kind == "ingress") {
        return fail(
            "there is an ingress qdisc, which holds no egress filters and which clsact "
            "can't stand beside: use TCX (attach = \"tcx\", Linux 6.6 and later), or replace "
            "it with `tc qdisc del dev {0} ingress` and `tc qdisc add dev {0} clsact`",
            attachment.device);
    }
    if (auto made = with_directories({filters(directory), qdiscs(directory)}); !made) {
        return made;
    }
    const auto settled = settle(directory, attachment);
    if (!settled) {
        return tl::unexpected(settled.error());
    }
    const auto note = qdisc_path(directory, attachment.device, ifindex);
    auto attached = make_directory(note_path(directory, attachment))
                        .and_then([&] {
                            return kind->empty() ? make_qdisc(note, ifindex)
                                                 : forget_foreign_qdisc(note, ifindex);
                        })
                        .and_then([&] {
                            return clsact_attach(program.get(), ifindex, is_ingress(attachment));
                        });
    if (!attached && !*settled) {
        (void)detach_from_device(directory, attachment); // the first error is the one to report
    }
    return attached;
}

struct QdiscNote {
    std::string path, device;
    std::string expected_path; // with the index that the device has now
    uint32_t ifindex = 0;
};

Result<std::vector<QdiscNote>> read_qdisc_notes(const std::string& directory) {
    const auto names = list_directory(qdiscs(directory));
    if (!names) {
        return tl::unexpected(names.error());
    }
    std::vector<QdiscNote> found;
    for (const auto& name : *names) {
        const auto device = interface_of_pin(std::string_view(name).substr(0, name.rfind('@')));
        const auto ifindex = interface_index(device);
        if (!ifindex) {
            return tl::unexpected(ifindex.error());
        }
        found.push_back({qdiscs(directory) + "/" + name, device,
                         qdisc_path(directory, device, *ifindex), *ifindex});
    }
    return found;
}

// Of devices that have no filter of ours any more.
Status release_qdiscs(const std::string& directory) {
    const auto filter_notes = read_notes(directory, false);
    const auto qdisc_notes = read_qdisc_notes(directory);
    if (!filter_notes || !qdisc_notes) {
        return tl::unexpected(filter_notes ? qdisc_notes.error() : filter_notes.error());
    }
    for (const auto& note : *qdisc_notes) {
        const bool in_use = std::ranges::any_of(*filter_notes, [&](const Note& filter) {
            return filter.attachment.device == note.device;
        });
        if (in_use) {
            continue;
        }
        // With another index it is another device, which only has the name.
        auto removed =
            note.path == note.expected_path ? clsact_remove_qdisc(note.ifindex) : Status();
        if (removed = removed.and_then([&] { return remove_directory(note.path); }); !removed) {
            return removed;
        }
    }
    return {};
}

Status remove_filter(const Note& note) {
    const auto ifindex = interface_index(note.attachment.device);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    const auto detached =
        *ifindex == 0 ? Status() : clsact_detach(*ifindex, is_ingress(note.attachment));
    return detached.and_then([&] { return remove_directory(note.path); });
}

Status remove_noted(const std::vector<Note>& found) {
    for (const auto& note : found) {
        auto removed = note.attachment.tcx ? link_detach(note.path) : remove_filter(note);
        if (!removed) {
            return tl::unexpected(removed.error().within(describe(note.attachment)));
        }
    }
    return {};
}

} // namespace

Status attach_to_device(const std::string& directory, const Attachment& attachment,
                        const Fd& program) {
    const auto ifindex = interface_index(attachment.device);
    if (!ifindex) {
        return tl::unexpected(ifindex.error());
    }
    if (*ifindex == 0) {
        return fail_errno(ENODEV, describe(attachment));
    }
    auto noted = attachment;
    noted.role = role_of(program).value_or(attachment.role);
    const auto attached = noted.tcx ? attach_link(directory, noted, program, *ifindex)
                                    : attach_clsact(directory, noted, program, *ifindex);
    return attached.map_error(
        [&](const Error& error) { return error.within(describe(attachment)); });
}

Result<Fd> attached_program(const std::string& directory, const Attachment& attachment) {
    const auto found = notes_of_place(directory, attachment);
    if (!found) {
        return tl::unexpected(found.error());
    }
    if (found->empty()) {
        return Fd();
    }
    const auto& note = found->back();
    const auto id = running_program(note);
    auto pins = read_program_pins(directory);
    if (!id || !pins) {
        return tl::unexpected(id ? pins.error() : id.error());
    }
    const auto program = find_program(*pins, *id);
    if (!program) {
        return tl::unexpected(program.error());
    }
    if (*program != nullptr || *id == 0) {
        return *program != nullptr ? std::move((*program)->program) : Fd();
    }
    return open_pin(program_path(directory, attach_program(note.attachment.role)));
}

Status detach_from_device(const std::string& directory, const Attachment& attachment) {
    const auto found = notes_of_place(directory, attachment);
    if (!found) {
        return tl::unexpected(found.error());
    }
    auto removed = remove_noted(*found);
    return removed && !attachment.tcx ? release_qdiscs(directory) : removed;
}

Result<std::vector<FoundAttachment>> find_attachments(const std::string& directory) {
    auto pins = read_program_pins(directory);
    if (!pins) {
        return tl::unexpected(pins.error());
    }
    std::vector<FoundAttachment> found;
    for (const bool tcx : {true, false}) {
        const auto written = read_notes(directory, tcx);
        if (!written) {
            return tl::unexpected(written.error());
        }
        for (const auto& note : *written) {
            auto seen = look_at(*pins, note);
            if (!seen) {
                return tl::unexpected(seen.error());
            }
            std::erase_if(found, [&](const FoundAttachment& other) {
                return same_place(other.attachment, seen->attachment);
            });
            found.push_back(*std::move(seen));
        }
    }
    return found;
}

Status detach_all(const std::string& directory) {
    for (const bool tcx : {true, false}) {
        const auto found = read_notes(directory, tcx);
        if (!found) {
            return tl::unexpected(found.error());
        }
        if (auto removed = remove_noted(*found); !removed) {
            return removed;
        }
    }
    if (auto released = release_qdiscs(directory); !released) {
        return released;
    }
    for (const auto& path : {links(directory), filters(directory), qdiscs(directory)}) {
        if (auto removed = remove_directory(path); !removed) {
            return removed;
        }
    }
    return {};
}

} // namespace linkbal
