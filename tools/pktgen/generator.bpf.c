// SPDX-License-Identifier: GPL-2.0-or-later
// Writes one small UDP frame and sends it out by a device. Runs as BPF_PROG_TEST_RUN with live
// frames.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"

const volatile __u32 device;
const volatile __u32 first_flow;
const volatile __u32 flows = 1;
const volatile __u8 ipv6;

/*
 * Everything that is the same in all frames. Its checksums are partial: folded sums, not inverted,
 * over all fields but those that write_flow() fills in.
 */
union pktgen_frame frame;

__u32 next_flow;

/* Where a frame has what makes its flow; `ip_check` is none for IPv6. */
struct places {
    __u32* source;
    __u32* destination;
    __u16* ip_check;
    struct udphdr* udp;
    struct pktgen_payload* payload;
};

static __always_inline __u16 finish_checksum(__u32 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)~sum;
}

static __always_inline void write_flow(const struct places* out, __u32 flow) {
    __u32 source = PKTGEN_FIRST_SOURCE + flow % PKTGEN_SOURCES;
    __u32 destination = PKTGEN_FIRST_DESTINATION + flow % PKTGEN_DESTINATIONS;
    __u16 port = bpf_htons((__u16)(PKTGEN_FIRST_PORT + flow % PKTGEN_PORTS));
    __u32 addresses = bpf_htons((__u16)source) + (__u32)bpf_htons((__u16)destination);
    __u16 checksum;

    *out->source |= bpf_htonl(source);
    *out->destination |= bpf_htonl(destination);
    if (out->ip_check)
        *out->ip_check = finish_checksum(*out->ip_check + addresses);
    out->udp->source = port;
    out->payload->flow = flow;
    checksum = finish_checksum(out->udp->check + addresses + port + (flow & 0xffff) + (flow >> 16));
    out->udp->check = checksum ? checksum : 0xffff; /* 0 means "none" (RFC 768) */
}

static __always_inline struct places places_of(void* data) {
    struct places places = {};
    void* header = data + sizeof(struct ethhdr);

    if (ipv6) {
        struct ipv6hdr* ip = header;

        places.source = &ip->saddr.in6_u.u6_addr32[3];
        places.destination = &ip->daddr.in6_u.u6_addr32[3];
        places.udp = header + sizeof(*ip);
    } else {
        struct iphdr* ip = header;

        places.source = &ip->saddr;
        places.destination = &ip->daddr;
        places.ip_check = &ip->check;
        places.udp = header + sizeof(*ip);
    }
    places.payload = (void*)(places.udp + 1);
    return places;
}

SEC("xdp")
int generate(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    __u32 flow = next_flow;
    struct places places;

    if (data + (ipv6 ? sizeof(struct pktgen_frame6) : sizeof(struct pktgen_frame4)) > data_end)
        return XDP_ABORTED;
    next_flow = flow + 1 < first_flow + flows ? flow + 1 : first_flow;

    /* The page is recycled with what the gateway wrote into it, so nothing of it can be kept. */
    if (ipv6)
        *(struct pktgen_frame6*)data = frame.ipv6;
    else
        *(struct pktgen_frame4*)data = frame.ipv4;
    places = places_of(data);
    write_flow(&places, flow);
    return (int)bpf_redirect(device, 0);
}

char LICENSE[] SEC("license") = "GPL";
