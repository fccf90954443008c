// SPDX-License-Identifier: GPL-2.0-or-later
// Counts the generator's frames at the far end of an uplink, and drops or answers them.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"

volatile __u32 census; /* also note which flows arrive */
volatile __u32 answer; /* send each back to where it came from */

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

#define SWAP(a, b)                                                                                 \
    do {                                                                                           \
        typeof(a) kept = (a);                                                                      \
        (a) = (b);                                                                                 \
        (b) = kept;                                                                                \
    } while (0)

static __always_inline void note_flow(__u32 flow) {
    __u64* entry = bpf_map_lookup_elem(&seen, &flow);

    if (entry)
        *entry = 1;
}

/* Checksums are sums: they don't mind. */
static __always_inline void turn_round(struct ethhdr* ethernet, struct udphdr* udp) {
    __u8 mac[ETH_ALEN];

    __builtin_memcpy(mac, ethernet->h_dest, ETH_ALEN);
    __builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, mac, ETH_ALEN);
    SWAP(udp->source, udp->dest);
    if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = (void*)(ethernet + 1);

        SWAP(ip->saddr, ip->daddr);
    } else {
        struct ipv6hdr* ip = (void*)(ethernet + 1);

        SWAP(ip->saddr, ip->daddr);
    }
}

SEC("xdp")
int receive(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    struct ethhdr* ethernet = data;
    struct pktgen_payload* payload;
    struct pktgen_counters* count;
    struct udphdr* udp;
    __u32 zero = 0;

    if (data + sizeof(struct pktgen_frame4) > data_end)
        return XDP_PASS;
    if (ethernet->h_proto == bpf_htons(ETH_P_IP))
        udp = data + sizeof(struct ethhdr) + sizeof(struct iphdr);
    else if (data + sizeof(struct pktgen_frame6) <= data_end)
        udp = data + sizeof(struct ethhdr) + sizeof(struct ipv6hdr);
    else
        return XDP_PASS;
    payload = (void*)(udp + 1);
    if (payload->magic != bpf_htonl(PKTGEN_MAGIC))
        return XDP_PASS;
    count = bpf_map_lookup_elem(&counters, &zero);
    if (!count)
        return XDP_ABORTED;
    count->packets++;
    count->bytes += (__u64)(data_end - data);
    if (census)
        note_flow(payload->flow);
    if (!answer)
        return XDP_DROP;
    turn_round(ethernet, udp);
    /* Not XDP_TX: veth wakes the other end for that only if it has an XDP program, too. */
    return (int)bpf_redirect(ctx->ingress_ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
