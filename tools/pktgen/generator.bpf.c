// SPDX-License-Identifier: GPL-2.0-or-later
// Writes one small UDP frame and sends it out by a device. Runs as BPF_PROG_TEST_RUN with live
// frames.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"

const volatile __u32 device;
const volatile __u32 flows = 1;

/*
 * Everything that is the same in all frames. Its checksums are partial: folded sums, not inverted,
 * over all fields but those that write_flow() fills in.
 */
struct pktgen_frame frame;

__u32 next_flow;

static __always_inline __u16 finish_checksum(__u32 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)~sum;
}

static __always_inline void write_flow(struct pktgen_frame* out, __u32 flow) {
    __u32 source = PKTGEN_FIRST_SOURCE + flow % PKTGEN_SOURCES;
    __u32 destination = PKTGEN_FIRST_DESTINATION + flow % PKTGEN_DESTINATIONS;
    __u16 port = bpf_htons((__u16)(PKTGEN_FIRST_PORT + flow % PKTGEN_PORTS));
    __u32 addresses = bpf_htons((__u16)source) + (__u32)bpf_htons((__u16)destination);
    __u16 checksum;

    out->ip.saddr |= bpf_htonl(source);
    out->ip.daddr |= bpf_htonl(destination);
    out->ip.check = finish_checksum(out->ip.check + addresses);
    out->udp.source = port;
    out->flow = flow;
    checksum = finish_checksum(out->udp.check + addresses + port + (flow & 0xffff) + (flow >> 16));
    out->udp.check = checksum ? checksum : 0xffff; /* 0 means "none" (RFC 768) */
}

SEC("xdp")
int generate(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    struct pktgen_frame* out = data;
    __u32 flow = next_flow;

    if (data + sizeof(*out) > data_end)
        return XDP_ABORTED;
    next_flow = flow + 1 < flows ? flow + 1 : 0;

    /* The page is recycled with what the gateway wrote into it, so nothing of it can be kept. */
    *out = frame;
    write_flow(out, flow);
    return (int)bpf_redirect(device, 0);
}

char LICENSE[] SEC("license") = "GPL";
