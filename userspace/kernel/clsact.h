// SPDX-License-Identifier: GPL-2.0-or-later
// tc programs as filters of a clsact qdisc, for kernels before 6.6. Our filters are known by handle
// and priority; others' are left alone.
#pragma once

#include <cstdint>

#include "util/result.h"

namespace linkbal {

// "LB". Foreign filters of lower priority numbers run first; ours ends with TC_ACT_UNSPEC, so those
// of higher numbers run as well.
inline constexpr uint32_t clsact_handle = 0x4c42;
inline constexpr uint32_t clsact_priority = 0x4c42;

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
