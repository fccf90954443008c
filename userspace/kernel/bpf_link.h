// SPDX-License-Identifier: GPL-2.0-or-later
// Programs attached to devices as links: owned, pinned, and replaced without a gap. tc programs by TCX
// (kernel 6.6 and later), XDP programs by the driver (5.9 and later).
#pragma once

#include <cstdint>
#include <string>

#include <bpf/bpf.h>

#include "util/result.h"

namespace linkbal {

// BPF_TCX_INGRESS and BPF_TCX_EGRESS, which libbpf 1.1 and its headers don't know yet.
constexpr bpf_attach_type tcx_attach_type(bool ingress) {
    return static_cast<bpf_attach_type>(ingress ? 46 : 47);
}

struct BpfLink {
    uint32_t ifindex = 0; // 0: its device is gone, or it was detached by hand
    uint32_t program_id = 0;
};

// Puts the program on the device, a tc program behind those that are there, and pins the link at `path`.
// A link that is pinned there already and still on the device gets the new program in one step. BPF_XDP
// is native, and fails with EBUSY where there is another XDP program.
Status link_attach(int program, uint32_t ifindex, bpf_attach_type type, const std::string& path);
// Detaches and unpins; content if there is nothing.
Status link_detach(const std::string& path);
// What the link pinned at `path` does; all zero if there is none.
Result<BpfLink> link_query(const std::string& path);

} // namespace linkbal
