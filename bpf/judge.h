/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the fast path forwards a packet, and where to. Nothing of the packet is written here: what
 * is not forwarded is untouched. */
#ifndef LINKBAL_BPF_JUDGE_H
#define LINKBAL_BPF_JUDGE_H

#include "count.h"
#include "lease.h"
#include "view.h"

/* How a packet came. */
struct lb_arrival {
    __u32 ifindex;
    const __u8* mac; /* destination of its frame; NULL if the kernel has judged that already */
    __u32 mtu_size;  /* IP packet, or the largest segment of it */
    bool by_xdp;
};

/* What the kernel would make of it. */
struct lb_way {
    const struct lb_interface* out;
    __u32 slot; /* of `out` */
    __u32 uplink;
    __u8 mac[ETH_ALEN];
    __u32 to[LB_TUPLE_WORDS];
    struct lb_flow* flow;
    union lb_version_bits version; /* of `flow`, when the rest was read */
};

static __always_inline const struct lb_interface* lb_interface(__u32 slot) {
    return bpf_map_lookup_elem(&interfaces, &slot);
}

static __always_inline bool lb_macs_equal(const __u8* a, const __u8* b) {
    const __u32 head = *(const __u32*)a ^ *(const __u32*)b;
    const __u16 tail = *(const __u16*)(a + 4) ^ *(const __u16*)(b + 4);
    return (head | tail) == 0;
}

static __always_inline bool lb_is_for_us(const struct lb_interface* in,
                                         const struct lb_arrival* arrival) {
    return in && in->ifindex == arrival->ifindex &&
           (!arrival->mac || lb_macs_equal(in->mac, arrival->mac));
}

/*
 * A connection that begins or ends is conntrack's, in both directions. What leaves as `to` is answered
 * by the other entry.
 */
static __always_inline void lb_end_connection(__u32 family, __u64 hash, const struct lb_key* key) {
    union lb_version_bits version = {.word = 0};
    void* entry = lb_find_by_tags(family, hash, key, &version);
    if (entry) {
        struct lb_key back = {.protocol = key->protocol};
        lb_reverse(family, lb_to(family, entry), &back);
        lb_end_flow(family, key);
        lb_end_flow(family, &back);
    }
}

/* Everything but the lease. */
static __always_inline enum lb_fast lb_judge_way(__u32 family, const struct lb_view* view,
                                                 const struct lb_arrival* arrival,
                                                 const struct lb_way* way) {
    const struct lb_version version = way->version.version;
    const struct lb_interface* in = lb_interface(way->flow->ingress);
    const struct lb_interface* out = way->out;
    if (!lb_is_for_us(in, arrival)) {
        return LB_FAST_NOT_FOR_US;
    }
    if (view->ttl - 1 != version.ttl || view->dscp != version.dscp) {
        return LB_FAST_HEADER;
    }
    /* A packet may meet both programs. One of them has the flow, its lease and its renewals: what XDP
     * sends to the kernel must not end in tc. */
    if (!out || out->ifindex == 0 || (in->xdp && out->xdp) != arrival->by_xdp) {
        return LB_FAST_NO_REDIRECT;
    }
    return arrival->mtu_size > out->mtu[family] ? LB_FAST_TOO_BIG : LB_FAST_FORWARDED;
}

static __always_inline enum lb_fast lb_judge_lease(struct lb_flow* flow) {
    const union lb_lease_bits seen = lb_read_lease(flow);
    const __u32 left = lb_lease_left(seen.lease, lb_tick());
    if (left == 0) {
        return LB_FAST_EXPIRED;
    }
    if (seen.lease.epoch != lb_epoch(flow->uplink)) {
        return LB_FAST_EPOCH;
    }
    return lb_claim_renewal(flow, seen, left) ? LB_FAST_RENEWS : LB_FAST_FORWARDED;
}

static __always_inline void lb_read_way(__u32 family, struct lb_flow* flow, struct lb_way* way) {
    way->flow = flow;
    way->slot = flow->egress;
    way->uplink = flow->uplink;
    way->out = lb_interface(flow->egress);
    __builtin_memcpy(way->mac, flow->mac, sizeof(way->mac));
    lb_copy_words(way->to, lb_to(family, flow), lb_tuple_words(family));
}

/* LB_FAST_FORWARDED: `way` says where to, if lb_count_flow() agrees. */
static __always_inline enum lb_fast lb_judge(__u32 family, const struct lb_view* view,
                                             const struct lb_arrival* arrival, struct lb_way* way) {
    const __u64 hash = lb_key_hash(family, &view->key);
    way->version.word = 0;
    if (!lb_is_ordinary(view)) {
        lb_end_connection(family, hash, &view->key);
        return LB_FAST_TCP_FLAGS;
    }
    struct lb_flow* flow = lb_find(family, hash, &view->key, &way->version);
    if (!flow) {
        return LB_FAST_MISS;
    }
    lb_read_way(family, flow, way);
    const enum lb_fast reason = lb_judge_way(family, view, arrival, way);
    return reason == LB_FAST_FORWARDED ? lb_judge_lease(flow) : reason;
}

/* Everything that was read of the entry. */
static __always_inline __u64 lb_all_read(__u32 family, const struct lb_way* way) {
    __u64 all = way->slot | way->uplink | *(const __u32*)way->mac | *(const __u16*)(way->mac + 4);
#pragma clang loop unroll(full)
    for (__u32 i = 0; i < lb_tuple_words(family); i++) {
        all |= way->to[i];
    }
    return all;
}

/* The last word: false if the entry has become another one while it was read. */
static __always_inline bool lb_count_flow(__u32 family, const struct lb_way* way, __u32 packets,
                                          __u32 bytes) {
    struct lb_flow* flow = lb_behind(way->flow, lb_all_read(family, way));
    if (lb_read_version(flow).word != way->version.word) {
        return false;
    }
    flow->packets += packets;
    flow->bytes += bytes;
    return true;
}

/* By the uplink, which is where it leaves or where it came by. */
static __always_inline void lb_count_way(const struct lb_way* way, __u32 packets, __u32 bytes) {
    struct lb_uplink_counters* counters = bpf_map_lookup_elem(&uplink_counters, &way->uplink);
    if (!counters) {
        return;
    }
    counters->fast += packets;
    if (way->out->uplink != LB_NO_UPLINK) {
        counters->tx_packets += packets;
        counters->tx_bytes += bytes;
    } else {
        counters->rx_packets += packets;
        counters->rx_bytes += bytes;
    }
}

static __always_inline void lb_count_fast(enum lb_fast reason, __u32 bytes) {
    const __u32 key = reason;
    struct lb_verdict_counters* counters = bpf_map_lookup_elem(&fast_counters, &key);
    if (counters) {
        counters->packets++;
        counters->bytes += bytes;
    }
}

#endif
