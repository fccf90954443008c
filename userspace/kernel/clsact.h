// SPDX-License-Identifier: GPL-2.0-or-later
// tc programs as filters of a clsact qdisc, for kernels before 6.6. Our filters are known by handle
// and priority (core/attachment.h); others' are left alone.
#pragma once

#include <cstdint>

#include "util/result.h"

namespace linkbal {

// Adds the filter, or replaces the program of ours; makes the qdisc if there is none and tells if
// it did.
Result<bool> clsact_attach(int program, uint32_t ifindex, bool ingress);
// Content if there is no such filter, qdisc or device.
Status clsact_detach(uint32_t ifindex, bool ingress);
// Removes the qdisc unless someone has a filter in it.
Status clsact_remove_qdisc(uint32_t ifindex);
// The id of the program in our filter, 0 if there is none.
uint32_t clsact_program(uint32_t ifindex, bool ingress);

} // namespace linkbal
