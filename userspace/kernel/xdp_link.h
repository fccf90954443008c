// SPDX-License-Identifier: GPL-2.0-or-later
// XDP on a device: what it adds to kernel/attachments.h.
#pragma once

#include <cstdint>
#include <string>

#include "core/attachment.h"
#include "util/fd.h"
#include "util/result.h"

namespace linkbal {

// attach_to_device() for the role xdp. A device that frames can't be redirected to, even now that it has
// a program, is left without: EOPNOTSUPP.
Status attach_xdp(const std::string& directory, const Attachment& at, const Fd& program);
// The id of our XDP program on the device, 0 if there is none.
Result<uint32_t> own_xdp_program(const std::string& directory, const std::string& device,
                                 uint32_t ifindex);

} // namespace linkbal
