// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/cached_flows.h"

#include <array>
#include <cerrno>

#include <sys/mman.h>

#include "kernel/bpf_map.h"
#include "kernel/bpf_object.h"

namespace linkbal {

namespace {

// The clock of leases, jiffies64 >> shift, can be read by programs only (bpf_jiffies64(), kernel 5.6).
Result<uint32_t> lease_ticks(uint8_t shift) {
    const std::array<bpf_insn, 3> code{{{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_jiffies64},
                                        {BPF_ALU64 | BPF_RSH | BPF_K, 0, 0, 0, shift},
                                        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}};
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "lb_ticks", "GPL", code.data(),
                                   code.size(), nullptr));
    std::array<uint8_t, 64> packet{};
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = packet.data();
    options.data_size_in = packet.size();
    if (!program || bpf_prog_test_run_opts(program.get(), &options) != 0) {
        return fail_errno(errno, "reading the clock of the flow cache");
    }
    return options.retval;
}

template <typename Flow>
Result<uint64_t> count(const Fd& map, uint32_t now) {
    const auto info = map_info(map);
    if (!info || info->value_size != sizeof(Flow)) {
        return info ? fail("the BPF map {} is another version's", info->name)
                    : tl::unexpected(info.error());
    }
    const size_t size = size_t{info->max_entries} * sizeof(Flow);
    void* memory = mmap(nullptr, size, PROT_READ, MAP_SHARED, map.get(), 0);
    if (memory == MAP_FAILED) {
        return fail_errno(errno, fmt::format("mapping the BPF map {}", info->name));
    }
    uint64_t running = 0;
    const auto* flows = static_cast<const Flow*>(memory);
    for (uint32_t i = 0; i < info->max_entries; ++i) {
        const auto& lease = flows[i].flow.lease;
        const uint32_t end = __atomic_load_n(&lease.end, __ATOMIC_RELAXED);
        running += end != 0 && static_cast<int32_t>(end - now) > 0 ? 1 : 0;
    }
    munmap(memory, size);
    return running;
}

} // namespace

Result<uint64_t> count_cached_flows(const std::string& directory) {
    const auto object = open_object(directory);
    const auto settings = object ? object_settings(*object) : std::nullopt;
    if (!settings) {
        return object ? fail("the datapath is another version's") : tl::unexpected(object.error());
    }
    const auto now = lease_ticks(settings->tick_shift);
    if (!now) {
        return tl::unexpected(now.error());
    }
    const auto ipv4 = count<lb_flow4>(object->maps.at("flows_ipv4"), *now);
    const auto ipv6 = count<lb_flow6>(object->maps.at("flows_ipv6"), *now);
    if (!ipv4 || !ipv6) {
        return tl::unexpected(ipv4 ? ipv6.error() : ipv4.error());
    }
    return *ipv4 + *ipv6;
}

} // namespace linkbal
