// SPDX-License-Identifier: GPL-2.0-or-later
// Counts the generator's frames at the far end of an uplink and drops them.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"

volatile __u32 census; /* also note which flows arrive */

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pktgen_counters);
} counters SEC(".maps");

/* Flow -> 1 when it was seen; as many entries as there are flows. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} seen SEC(".maps");

static __always_inline void note_flow(__u32 flow) {
    __u64* entry = bpf_map_lookup_elem(&seen, &flow);

    if (entry)
        *entry = 1;
}

SEC("xdp")
int receive(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    struct pktgen_frame* in = data;
    struct pktgen_counters* count;
    __u32 zero = 0;

    if (data + sizeof(*in) > data_end || in->magic != bpf_htonl(PKTGEN_MAGIC))
        return XDP_PASS;
    count = bpf_map_lookup_elem(&counters, &zero);
    if (!count)
        return XDP_ABORTED;
    count->packets++;
    count->bytes += (__u64)(data_end - data);
    if (census)
        note_flow(in->flow);
    return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
