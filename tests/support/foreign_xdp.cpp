// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign_xdp.h"

#include <array>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include "catch.h"
#include "util/fd.h"

namespace linkbal::test {

void attach_foreign(const std::string& device) {
    const std::array<bpf_insn, 2> pass{
        {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 2}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}};
    const Fd program(
        bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", pass.data(), pass.size(), nullptr));
    REQUIRE(program);
    REQUIRE(bpf_xdp_attach(static_cast<int>(if_nametoindex(device.c_str())), program.get(),
                           XDP_FLAGS_DRV_MODE, nullptr) == 0);
}

} // namespace linkbal::test
