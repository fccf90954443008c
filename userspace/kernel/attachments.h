// SPDX-License-Identifier: GPL-2.0-or-later
// Which of an instance's programs sit on which devices. What was attached is written down in bpffs,
// so that it is found again whatever became of the rest:
//
//   links/DEVICE-PROGRAM    the link (TCX, XDP)
//   filters/DEVICE-PROGRAM  an empty directory: our filter is in the device's clsact qdisc
//   qdiscs/DEVICE@IFINDEX   an empty directory: there was no such qdisc before we made it
//
// A device has one of them for a direction at most, XDP being one. Notes are written before what they tell of is
// done: one that is ahead of the kernel is mended, a filter that no note tells of would be lost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/attachment.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// Where it is written down.
std::string note_path(const std::string& directory, const Attachment& attachment);

struct FoundAttachment {
    Attachment attachment;
    uint32_t program_id = 0; // 0: nothing is attached there any more
    bool unfinished = false; // attached by halves
};

// `directory` is the instance's; `program` is the one that the attachment's role asks for, or a
// former one of that direction.
Status attach_to_device(const std::string& directory, const Attachment& attachment,
                        const Fd& program);
// The program of ours that is at this place now, whatever its role; an invalid Fd if there is none.
// One that is neither pinned nor may be opened by its id (a former version was killed as it replaced
// programs, and CAP_SYS_ADMIN is missing) is stood in for by the pinned one of that role.
Result<Fd> attached_program(const std::string& directory, const Attachment& attachment);
Status detach_from_device(const std::string& directory, const Attachment& attachment);
Result<std::vector<FoundAttachment>> find_attachments(const std::string& directory);
// All of them, and the directories.
Status detach_all(const std::string& directory);

} // namespace linkbal
