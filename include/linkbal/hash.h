/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hash that buckets and turns are made from, the same in BPF C and in C++.
 *
 * It is hashword() of lookup3.c by Bob Jenkins, May 2006, public domain
 * (https://burtleburtle.net/bob/c/lookup3.c); the kernel's jhash2() gives the same values.
 * Words are taken as they lie in the packet, so a value holds for one byte order.
 */
#ifndef LINKBAL_HASH_H
#define LINKBAL_HASH_H

#include "linkbal/abi.h"

#ifdef __bpf__
#define LB_INLINE static __attribute__((always_inline)) inline
#else
#define LB_INLINE static inline
#endif

/* An address in network byte order; an IPv4 address is the first word and the others are zero. */
struct lb_address {
    __u32 word[4];
};

struct lb_hash_state {
    __u32 a, b, c;
};

LB_INLINE __u32 lb_rotate(__u32 word, __u32 bits) { return (word << bits) | (word >> (32 - bits)); }

LB_INLINE void lb_hash_mix(struct lb_hash_state* s) {
    s->a -= s->c, s->a ^= lb_rotate(s->c, 4), s->c += s->b;
    s->b -= s->a, s->b ^= lb_rotate(s->a, 6), s->a += s->c;
    s->c -= s->b, s->c ^= lb_rotate(s->b, 8), s->b += s->a;
    s->a -= s->c, s->a ^= lb_rotate(s->c, 16), s->c += s->b;
    s->b -= s->a, s->b ^= lb_rotate(s->a, 19), s->a += s->c;
    s->c -= s->b, s->c ^= lb_rotate(s->b, 4), s->b += s->a;
}

LB_INLINE void lb_hash_final(struct lb_hash_state* s) {
    s->c ^= s->b, s->c -= lb_rotate(s->b, 14);
    s->a ^= s->c, s->a -= lb_rotate(s->c, 11);
    s->b ^= s->a, s->b -= lb_rotate(s->a, 25);
    s->c ^= s->b, s->c -= lb_rotate(s->b, 16);
    s->a ^= s->c, s->a -= lb_rotate(s->c, 4);
    s->b ^= s->a, s->b -= lb_rotate(s->a, 14);
    s->c ^= s->b, s->c -= lb_rotate(s->b, 24);
}

LB_INLINE struct lb_hash_state lb_hash_start(__u32 words, __u32 seed) {
    const __u32 start = 0xdeadbeefu + (words << 2) + seed;
    const struct lb_hash_state s = {start, start, start};
    return s;
}

LB_INLINE __u32 lb_hash_1(__u32 word, __u32 seed) {
    struct lb_hash_state s = lb_hash_start(1, seed);
    s.a += word;
    lb_hash_final(&s);
    return s.c;
}

LB_INLINE __u32 lb_hash_2(__u32 first, __u32 second, __u32 seed) {
    struct lb_hash_state s = lb_hash_start(2, seed);
    s.a += first;
    s.b += second;
    lb_hash_final(&s);
    return s.c;
}

LB_INLINE __u32 lb_hash_4(const __u32* word, __u32 seed) {
    struct lb_hash_state s = lb_hash_start(4, seed);
    s.a += word[0], s.b += word[1], s.c += word[2];
    lb_hash_mix(&s);
    s.a += word[3];
    lb_hash_final(&s);
    return s.c;
}

/* Eight words in two runs of four, as the addresses of an IPv6 header lie. */
LB_INLINE __u32 lb_hash_8(const __u32* first, const __u32* second, __u32 seed) {
    struct lb_hash_state s = lb_hash_start(8, seed);
    s.a += first[0], s.b += first[1], s.c += first[2];
    lb_hash_mix(&s);
    s.a += first[3], s.b += second[0], s.c += second[1];
    lb_hash_mix(&s);
    s.a += second[2], s.b += second[3];
    lb_hash_final(&s);
    return s.c;
}

LB_INLINE __u32 lb_hash_address(__u32 family, const struct lb_address* address, __u32 seed) {
    return family == LB_IPV6 ? lb_hash_4(address->word, seed) : lb_hash_1(address->word[0], seed);
}

LB_INLINE __u32 lb_hash_pair(__u32 family, const struct lb_address* client,
                             const struct lb_address* server, __u32 seed) {
    return family == LB_IPV6 ? lb_hash_8(client->word, server->word, seed)
                             : lb_hash_2(client->word[0], server->word[0], seed);
}

/* What the bucket of a connection is made from, before its turn; `mode` is enum lb_hash_mode. */
LB_INLINE __u32 lb_hash_connection(__u32 mode, __u32 family, const struct lb_address* client,
                                   const struct lb_address* server, __u32 seed) {
    switch (mode) {
    case LB_HASH_SOURCE:
        return lb_hash_address(family, client, seed);
    case LB_HASH_DESTINATION:
        return lb_hash_address(family, server, seed);
    default:
        return lb_hash_pair(family, client, server, seed);
    }
}

/*
 * The turn counter of a client, a server and a transport protocol. Another seed than the bucket's,
 * so that pairs which share a counter by collision do not share their first bucket as well.
 */
LB_INLINE __u32 lb_turn_index(__u32 family, const struct lb_address* client,
                              const struct lb_address* server, __u32 protocol, __u32 seed) {
    return lb_hash_pair(family, client, server, lb_hash_1(protocol, seed)) & (LB_TURNS - 1);
}

/* The slot of a server in struct lb_handshake_counters. Another seed than the buckets', so that the
 * servers of one link are not those of a few slots, whatever the hash mode. */
LB_INLINE __u32 lb_handshake_slot(__u32 family, const struct lb_address* server, __u32 seed) {
    return lb_hash_address(family, server, ~seed) & (LB_SLOTS - 1);
}

/*
 * Where a flow is looked for: bucket `index` / LB_WAYS, first at place `index` % LB_WAYS of it.
 *
 * Every packet pays for this hash, so it is two multiplications for IPv4: each step mixes 64 bits in by
 * xor, multiplies with the odd constant of Knuth's multiplicative hash for 64 bits (2^64 divided by the
 * golden ratio) and folds the upper half, which a multiplication mixes best, into the lower one.
 */
#define LB_FLOW_MULTIPLIER 0x9e3779b97f4a7c15ull

LB_INLINE __u64 lb_flow_mix(__u64 hash, __u64 word) {
    hash = (hash ^ word) * LB_FLOW_MULTIPLIER;
    return hash ^ (hash >> 32);
}

/* `word` are the `words` 32-bit words of a struct lb_tuple4 or lb_tuple6, an odd number of them. */
LB_INLINE __u64 lb_flow_hash(const __u32* word, __u32 words, __u32 protocol, __u32 seed) {
    __u64 hash = seed;
    for (__u32 i = 0; i + 1 < words; i += 2) {
        hash = lb_flow_mix(hash, word[i] | (__u64)word[i + 1] << 32);
    }
    return lb_flow_mix(hash, word[words - 1] | (__u64)protocol << 32);
}

/* A range without division (Lemire, "Fast random integer generation in an interval", 2019). */
LB_INLINE __u32 lb_flow_index(__u64 hash, __u32 buckets) {
    return (__u32)((hash >> 32) * buckets >> 32) * LB_WAYS + ((__u32)hash & (LB_WAYS - 1));
}

/* In struct lb_tags; never 0. */
LB_INLINE __u8 lb_flow_tag(__u64 hash) {
    const __u8 tag = (__u8)(hash >> 8);
    return tag ? tag : 1;
}

#endif
