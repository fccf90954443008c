/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entries of the flow cache: found, read, claimed, written.
 *
 * Many CPUs read and write without locks. An entry's version has a generation that is odd while it is
 * written and another one afterwards. A reader takes the version first, reads what it needs, and
 * believes that only if the version is still the same. Reads are kept in this order, on processors
 * that would change it, by addresses that depend on what was read before (lb_behind()); writers use
 * atomic operations that return a value, which order everything around them.
 */
#ifndef LINKBAL_BPF_FLOW_H
#define LINKBAL_BPF_FLOW_H

#include <stdbool.h>

#include "linkbal/hash.h"
#include "maps.h"

#define LB_READ_ONCE(place) (*(const volatile typeof(place)*)&(place))

/* struct lb_tuple4 and lb_tuple6 in words, which is also how they lie in a packet. */
#define LB_TUPLE_WORDS 9
#define LB_TUPLE4_WORDS 3

struct lb_key {
    __u32 word[LB_TUPLE_WORDS];
    __u32 protocol;
};

static __always_inline __u32 lb_tuple_words(__u32 family) {
    return family == LB_IPV4 ? LB_TUPLE4_WORDS : LB_TUPLE_WORDS;
}

union lb_version_bits {
    struct lb_version version;
    __u32 word;
};

static __always_inline __u32* lb_version_word(struct lb_flow* flow) {
    return (__u32*)&flow->version;
}

static __always_inline union lb_version_bits lb_read_version(struct lb_flow* flow) {
    const union lb_version_bits bits = {.word = *(volatile __u32*)lb_version_word(flow)};
    return bits;
}

static __always_inline bool lb_is_being_written(union lb_version_bits bits) {
    return bits.version.generation & 1;
}

/* The same pointer, which the processor can't know before it has read `value`. */
static __always_inline void* lb_behind(void* pointer, __u64 value) {
    asm volatile("%0 &= 0" : "+r"(value));
    return pointer + value;
}

static __always_inline void* lb_entry(__u32 family, __u32 index) {
    return family == LB_IPV4 ? bpf_map_lookup_elem(&flows_ipv4, &index)
                             : bpf_map_lookup_elem(&flows_ipv6, &index);
}

/* An entry's tuples; `entry` is what lb_entry() has returned. */
static __always_inline __u32* lb_from(__u32 family, void* entry) {
    return family == LB_IPV4 ? (__u32*)&((struct lb_flow4*)entry)->from
                             : (__u32*)&((struct lb_flow6*)entry)->from;
}
static __always_inline __u32* lb_to(__u32 family, void* entry) {
    return family == LB_IPV4 ? (__u32*)&((struct lb_flow4*)entry)->to
                             : (__u32*)&((struct lb_flow6*)entry)->to;
}

static __always_inline bool lb_words_equal(const __u32* a, const __u32* b, __u32 words) {
    __u32 difference = 0;
#pragma clang loop unroll(full)
    for (__u32 i = 0; i < words; i++) {
        difference |= a[i] ^ b[i];
    }
    return difference == 0;
}

static __always_inline void lb_copy_words(__u32* to, const __u32* from, __u32 words) {
#pragma clang loop unroll(full)
    for (__u32 i = 0; i < words; i++) {
        to[i] = from[i];
    }
}

static __always_inline __u64 lb_key_hash(__u32 family, const struct lb_key* key) {
    return lb_flow_hash(key->word, lb_tuple_words(family), key->protocol, settings.hash_seed);
}

static __always_inline __u32 lb_first_place(__u32 family, __u64 hash) {
    return lb_flow_index(hash, settings.flow_buckets[family]);
}

/* The `way`th place that is looked at from the first one on. */
static __always_inline __u32 lb_place(__u32 first, __u32 way) {
    return (first & ~(LB_WAYS - 1)) | ((first + way) & (LB_WAYS - 1));
}

static __always_inline struct lb_tags* lb_tags(__u32 family, __u32 place) {
    const __u32 bucket = place / LB_WAYS;
    return family == LB_IPV4 ? bpf_map_lookup_elem(&tags_ipv4, &bucket)
                             : bpf_map_lookup_elem(&tags_ipv6, &bucket);
}

/* Of a place in the bucket. */
static __always_inline __u8* lb_tag_at(struct lb_tags* tags, __u32 place) {
    return &tags->way[place & (LB_WAYS - 1)];
}

static __always_inline bool lb_is_entry_of(__u32 family, void* entry, const struct lb_key* key) {
    const struct lb_flow* flow = entry;
    return lb_words_equal(lb_from(family, entry), key->word, lb_tuple_words(family)) &&
           flow->protocol == key->protocol;
}

/* The entry at a place and its version, if it is that of `key`. */
static __always_inline void* lb_find_at(__u32 family, __u32 place, const struct lb_key* key,
                                        union lb_version_bits* version) {
    void* entry = lb_entry(family, place);
    if (!entry) {
        return NULL;
    }
    *version = lb_read_version(entry);
    entry = lb_behind(entry, version->word);
    return lb_is_entry_of(family, entry, key) && !lb_is_being_written(*version) ? entry : NULL;
}

static __always_inline void* lb_find_by_tags(__u32 family, __u64 hash, const struct lb_key* key,
                                             union lb_version_bits* version) {
    const __u32 first = lb_first_place(family, hash);
    struct lb_tags* tags = lb_tags(family, first);
    const __u8 tag = lb_flow_tag(hash);
#pragma clang loop unroll(disable)
    for (__u32 way = 0; tags && way < LB_WAYS; way++) {
        const __u32 place = lb_place(first, way);
        if (LB_READ_ONCE(*lb_tag_at(tags, place)) != tag) {
            continue;
        }
        void* entry = lb_find_at(family, place, key, version);
        if (entry) {
            return entry;
        }
    }
    return NULL;
}

/* The entry of `key` and its version; NULL where there is none. Most flows are at their first place. */
static __always_inline void* lb_find(__u32 family, __u64 hash, const struct lb_key* key,
                                     union lb_version_bits* version) {
    void* entry = lb_find_at(family, lb_first_place(family, hash), key, version);
    return entry ? entry : lb_find_by_tags(family, hash, key, version);
}

/* How the answers to packets that leave as `to` come. */
static __always_inline void lb_reverse(__u32 family, const __u32* to, struct lb_key* key) {
    const __u32 half = family == LB_IPV4 ? 1 : 4;
    lb_copy_words(key->word, to + half, half);
    lb_copy_words(key->word + half, to, half);
    key->word[2 * half] = lb_rotate(to[2 * half], 16);
}

static __always_inline bool lb_is_reverse(__u32 family, const __u32* a, const __u32* b) {
    const __u32 half = family == LB_IPV4 ? 1 : 4;
    return lb_words_equal(a, b + half, half) && lb_words_equal(a + half, b, half) &&
           a[2 * half] == lb_rotate(b[2 * half], 16);
}

static __always_inline __u64* lb_lease_word(struct lb_flow* flow) { return (__u64*)&flow->lease; }

static __always_inline void lb_end_lease(struct lb_flow* flow) {
    *(volatile __u64*)lb_lease_word(flow) = 0;
}

/* Every entry with this key: two CPUs may have learned a flow at the same time. */
static __always_inline void lb_end_flow(__u32 family, const struct lb_key* key) {
    const __u64 hash = lb_key_hash(family, key);
    const __u32 first = lb_first_place(family, hash);
    struct lb_tags* tags = lb_tags(family, first);
    const __u8 tag = lb_flow_tag(hash);
#pragma clang loop unroll(disable)
    for (__u32 way = 0; tags && way < LB_WAYS; way++) {
        const __u32 place = lb_place(first, way);
        void* entry = LB_READ_ONCE(*lb_tag_at(tags, place)) == tag ? lb_entry(family, place) : NULL;
        if (entry && lb_is_entry_of(family, entry, key)) {
            lb_end_lease(entry);
        }
    }
}

#endif
