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
    const __u8* mac;  /* destination of its frame; NULL if the kernel has judged that already */
    __u32 frame_size; /* as it will leave, link-layer header included */
    __u32 mtu_size;   /* IP packet, or the largest segment of it */
};

/* What the kernel would make of it. */
struct lb_way {
    const struct lb_interface* out;
    __u32 slot; /* of `out` */
    __u32 uplink;
    __u8 mac[ETH_ALEN];
    __u32 to[LB_TUPLE_WORDS];
};

static __always_inline const struct lb_interface* lb_interface(__u32 slot) {
    return bpf_map_lookup_elem(&interfaces, &slot);
}

static __always_inline bool lb_macs_equal(const __u8* a, const __u8* b) {
    const __u32 head = *(const __u32*)a ^ *(const __u32*)b;
    const __u16 tail = *(const __u16*)(a + 4) ^ *(const __u16*)(b + 4);
    return (head | tail) == 0;
}

static __always_inline bool lb_is_for_us(const struct lb_flow* flow,
                                         const struct lb_arrival* arrival) {
    const struct lb_interface* in = lb_interface(flow->ingress);
    return in && in->ifindex == arrival->ifindex &&
           (!arrival->mac || lb_macs_equal(in->mac, arrival->mac));
}

/*
 * A connection that begins or ends is conntrack's, in both directions. What leaves as `to` is answered
 * by the other entry.
 */
static __always_inline void lb_end_both(__u32 family, const struct lb_key* key, void* entry) {
    struct lb_key back = {.protocol = key->protocol};
    lb_reverse(family, lb_to(family, entry), &back);
    lb_end_flow(family, key);
    lb_end_flow(family, &back);
}

/* Everything but the lease. */
static __always_inline enum lb_fast lb_judge_way(__u32 family, const struct lb_view* view,
                                                 const struct lb_arrival* arrival,
                                                 const struct lb_flow* flow,
                                                 const struct lb_interface* out) {
    if (!lb_is_for_us(flow, arrival)) {
        return LB_FAST_NOT_FOR_US;
    }
    if (view->ttl - 1 != flow->ttl || view->dscp != flow->dscp) {
        return LB_FAST_HEADER;
    }
    if (!out || out->ifindex == 0) {
        return LB_FAST_NO_REDIRECT;
    }
    return arrival->mtu_size > out->mtu[family] ? LB_FAST_TOO_BIG : LB_FAST_FORWARDED;
}

static __always_inline enum lb_fast lb_judge_lease(struct lb_flow* flow) {
    const union lb_lease_bits seen = {.word = LB_READ_ONCE(*lb_lease_word(flow))};
    const __u32 left = lb_lease_left(seen.lease, lb_tick());
    if (left == 0) {
        return LB_FAST_EXPIRED;
    }
    if (seen.lease.epoch != lb_epoch(flow->uplink)) {
        return LB_FAST_EPOCH;
    }
    return lb_claim_renewal(flow, seen, left) ? LB_FAST_RENEWS : LB_FAST_FORWARDED;
}

/* The last word: false if the entry has become another one while it was read. */
static __always_inline bool lb_count_flow(struct lb_flow* flow, __u32 generation, __u32 packets,
                                          __u32 bytes) {
    const __u64 before = __sync_fetch_and_add(&flow->packets, packets);
    __sync_fetch_and_add(&flow->bytes, bytes);
    return lb_generation(before) == generation;
}

static __always_inline enum lb_fast lb_judge_flow(__u32 family, const struct lb_view* view,
                                                  const struct lb_arrival* arrival,
                                                  struct lb_flow* flow, struct lb_way* way) {
    way->slot = flow->egress;
    way->uplink = flow->uplink;
    way->out = lb_interface(flow->egress);
    __builtin_memcpy(way->mac, flow->mac, sizeof(way->mac));
    lb_copy_words(way->to, lb_to(family, flow), lb_tuple_words(family));
    const enum lb_fast reason = lb_judge_way(family, view, arrival, flow, way->out);
    return reason == LB_FAST_FORWARDED ? lb_judge_lease(flow) : reason;
}

/* LB_FAST_FORWARDED: `way` says where to. The packet is not counted yet: see lb_count_flow(). */
static __always_inline enum lb_fast lb_judge(__u32 family, const struct lb_view* view,
                                             const struct lb_arrival* arrival, struct lb_way* way,
                                             void** entry, __u32* generation) {
    *entry = lb_find(family, &view->key, generation);
    if (!lb_is_ordinary(view)) {
        if (*entry) {
            lb_end_both(family, &view->key, *entry);
        }
        return LB_FAST_TCP_FLAGS;
    }
    return *entry ? lb_judge_flow(family, view, arrival, *entry, way) : LB_FAST_MISS;
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
