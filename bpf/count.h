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

static __always_inline const struct lb_device* lb_device(__u32 ifindex) {
    return bpf_map_lookup_elem(&devices, &ifindex);
}

/* What tc has forwarded, and counted, by itself. */
static __always_inline bool lb_is_fast(const struct __sk_buff* skb) {
    return settings.fast_path && skb->tc_index == settings.tag;
}

/* wire_len is what the segments take on the wire, each with its headers (qdisc_pkt_len_init(), before tc
 * egress). */
static __always_inline void lb_count_sent(const struct __sk_buff* skb, __u32 uplink) {
    struct lb_uplink_counters* counters = bpf_map_lookup_elem(&uplink_counters, &uplink);
    if (counters) {
        counters->tx_packets += lb_segments(skb);
        counters->tx_bytes += skb->wire_len;
    }
}

static __always_inline void lb_count_received(const struct __sk_buff* skb, __u32 uplink) {
    struct lb_uplink_counters* counters = bpf_map_lookup_elem(&uplink_counters, &uplink);
    if (counters) {
        counters->rx_packets += lb_segments(skb);
        counters->rx_bytes += skb->wire_len;
    }
}

#endif
