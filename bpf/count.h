/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counters are per CPU: tc programs run with bottom halves off, so no other one interrupts them and
 * a plain addition is enough. */
#ifndef LINKBAL_BPF_COUNT_H
#define LINKBAL_BPF_COUNT_H

#include "maps.h"

/* Segments that one packet stands for: 64 kB of TCP pass the datapath in one piece (GRO, GSO). */
static __always_inline __u32 lb_segments(const struct __sk_buff* skb) {
    return skb->gso_segs ? skb->gso_segs : 1;
}

static __always_inline void lb_count_verdict(const struct __sk_buff* skb, enum lb_verdict verdict) {
    const __u32 key = verdict;
    struct lb_verdict_counters* counters = bpf_map_lookup_elem(&verdict_counters, &key);
    if (counters) {
        counters->packets += lb_segments(skb);
        counters->bytes += skb->len;
    }
}

static __always_inline void lb_count_pick(__u32 uplink) {
    struct lb_uplink_counters* counters = bpf_map_lookup_elem(&uplink_counters, &uplink);
    if (counters) {
        counters->picks++;
    }
}

/* The uplink behind a device; LB_NO_UPLINK where it is none. */
static __always_inline __u32 lb_device_uplink(__u32 ifindex) {
    const struct lb_device* device = bpf_map_lookup_elem(&devices, &ifindex);
    return device ? device->uplink : LB_NO_UPLINK;
}

/* ingress_ifindex is 0 in what the gateway itself sends. wire_len is what the segments take on the
 * wire, each with its headers (qdisc_pkt_len_init(), before tc egress). */
static __always_inline void lb_count_forwarded_tx(const struct __sk_buff* skb) {
    const __u32 uplink = skb->ingress_ifindex ? lb_device_uplink(skb->ifindex) : LB_NO_UPLINK;
    struct lb_uplink_counters* counters =
        uplink ? bpf_map_lookup_elem(&uplink_counters, &uplink) : NULL;
    if (counters) {
        counters->tx_packets += lb_segments(skb);
        counters->tx_bytes += skb->wire_len;
    }
}

/* The uplink that the packet came in by. */
static __always_inline __u32 lb_count_forwarded_rx(const struct __sk_buff* skb) {
    const __u32 uplink =
        skb->ingress_ifindex ? lb_device_uplink(skb->ingress_ifindex) : LB_NO_UPLINK;
    struct lb_uplink_counters* counters =
        uplink ? bpf_map_lookup_elem(&uplink_counters, &uplink) : NULL;
    if (counters) {
        counters->rx_packets += lb_segments(skb);
        counters->rx_bytes += skb->wire_len;
    }
    return uplink;
}

#endif
