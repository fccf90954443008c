// SPDX-License-Identifier: GPL-2.0-or-later
// tc programs as filters of a clsact qdisc, for kernels before 6.6. Our filters are known by handle
// and priority (core/attachment.h); others' are left alone.
#pragma once

#include <cstdint>
#include <string>

#include "util/result.h"

namespace linkbal {

// The kind of the qdisc at the place of clsact: "clsact", "ingress" (which has no egress: the kernel
// puts egress filters among those of ingress), or empty where there is none.
Result<std::string> clsact_qdisc_kind(uint32_t ifindex);
// False if somebody else was faster.
Result<bool> clsact_add_qdisc(uint32_t ifindex);
// Removes the qdisc unless someone has a filter in it; content if there is none.
Status clsact_remove_qdisc(uint32_t ifindex);
// Ours or others', in either direction.
Result<bool> clsact_has_filters(uint32_t ifindex);

// Adds the filter, or replaces the program of ours. The qdisc must be there.
Status clsact_attach(int program, uint32_t ifindex, bool ingress);
// Content if there is no such filter, qdisc or device.
Status clsact_detach(uint32_t ifindex, bool ingress);
// The id of the program in our filter, 0 if there is none.
Result<uint32_t> clsact_program(uint32_t ifindex, bool ingress);

} // namespace linkbal
