/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing what has been decided. Checksums come out bit for bit as the kernel's: it adjusts them in
 * several steps, each of which ends with a sum that is never zero before it is inverted (csum_fold()),
 * and so does one step with the sum of all differences (RFC 1624).
 */
#ifndef LINKBAL_BPF_REWRITE_H
#define LINKBAL_BPF_REWRITE_H

#include "judge.h"

/* What words add to a ones' complement sum when they become others. */
static __always_inline __u64 lb_difference(const __u32* from, const __u32* to, __u32 words) {
    __u64 sum = 0;
#pragma clang loop unroll(full)
    for (__u32 i = 0; i < words; i++) {
        sum += (__u64)(__u32)~from[i] + to[i];
    }
    return sum;
}

static __always_inline __u16 lb_adjusted(__u16 checksum, __u64 difference) {
    return ~lb_fold((__u16)~checksum + difference);
}

static __always_inline void lb_write_ethernet(struct ethhdr* ethernet, const struct lb_way* way) {
    __builtin_memcpy(ethernet->h_dest, way->mac, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, way->out->mac, ETH_ALEN);
}

/* TTL and addresses, and ports behind them. */
static __always_inline void lb_write_ip(__u32 family, void* ip, const struct lb_view* view,
                                        const struct lb_way* way) {
    if (family == LB_IPV4) {
        struct iphdr* header = ip;
        /* The TTL is the first byte of its word. */
        const __u64 difference =
            lb_difference(view->key.word, way->to, 2) + (__u16)~bpf_htons(0x100);
        header->check = lb_adjusted(header->check, difference);
    }
    *((__u8*)ip + lb_ttl_place(family)) = view->ttl - 1;
    lb_copy_words(ip + lb_tuple_place(family), way->to, lb_tuple_words(family));
}

/* The kernel does not touch the checksum of what it does not translate. */
static __always_inline bool lb_is_translated(__u32 family, const struct lb_view* view,
                                             const struct lb_way* way) {
    return !lb_words_equal(view->key.word, way->to, lb_tuple_words(family));
}

/* UDP: 0 is "no checksum" (RFC 768) and stays, and what comes out as 0 is sent as its complement. */
static __always_inline void lb_write_transport(__u32 family, void* transport,
                                               const struct lb_view* view,
                                               const struct lb_way* way) {
    const __u64 difference = lb_difference(view->key.word, way->to, lb_tuple_words(family));
    if (view->key.protocol == IPPROTO_TCP) {
        struct tcphdr* tcp = transport;
        tcp->check = lb_adjusted(tcp->check, difference);
        return;
    }
    struct udphdr* udp = transport;
    if (udp->check != 0) {
        const __u16 checksum = lb_adjusted(udp->check, difference);
        udp->check = checksum ? checksum : 0xffff;
    }
}

#endif
