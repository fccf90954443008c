/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has been learned of a flow goes into the cache: where to, and when it may be used. */
#ifndef LINKBAL_BPF_REMEMBER_H
#define LINKBAL_BPF_REMEMBER_H

#include "judge.h"

/* An entry as it should be. */
struct lb_lesson {
    struct lb_key from;
    struct lb_key to;
    __u8 mac[ETH_ALEN];
    __u16 ingress, egress;
    __u8 uplink;
    __u8 ttl, dscp;
    bool opening; /* a SYN-ACK's: no lease yet */
    __u32 epoch;
    __u32 longest; /* lease, in ticks */
};

static __always_inline bool lb_is_learned(__u32 family, struct lb_flow* flow,
                                          const struct lb_lesson* lesson) {
    return lb_words_equal(lb_to(family, flow), lesson->to.word, lb_tuple_words(family)) &&
           lb_macs_equal(flow->mac, lesson->mac) && flow->ingress == lesson->ingress &&
           flow->egress == lesson->egress && flow->uplink == lesson->uplink &&
           flow->version.ttl == lesson->ttl && flow->version.dscp == lesson->dscp;
}

/* Fails if the entry has become another one since `seen` was read, or its lease was ended. */
static __always_inline void lb_renew(struct lb_flow* flow, union lb_lease_bits seen,
                                     const struct lb_lesson* lesson, __u32 now) {
    lb_replace_lease(flow, seen, lb_new_lease(now, lesson->longest, lesson->epoch));
}

/* Nobody else writes while the generation is odd; who else wants to gives up, and learns from a later
 * packet. */
static __always_inline bool lb_begin_writing(struct lb_flow* flow, union lb_version_bits* version) {
    const union lb_version_bits before = lb_read_version(flow);
    *version = before;
    version->version.generation |= 1;
    return !lb_is_being_written(before) &&
           __sync_val_compare_and_swap(lb_version_word(flow), before.word, version->word) ==
               before.word;
}

static __always_inline void lb_end_writing(struct lb_flow* flow, union lb_version_bits version) {
    version.version.generation++;
    __sync_lock_test_and_set(lb_version_word(flow), version.word);
}

static __always_inline void lb_write_flow(__u32 family, struct lb_flow* flow,
                                          const struct lb_lesson* lesson) {
    lb_copy_words(lb_from(family, flow), lesson->from.word, lb_tuple_words(family));
    lb_copy_words(lb_to(family, flow), lesson->to.word, lb_tuple_words(family));
    __builtin_memcpy(flow->mac, lesson->mac, sizeof(flow->mac));
    flow->protocol = lesson->from.protocol;
    flow->ingress = lesson->ingress;
    flow->egress = lesson->egress;
    flow->uplink = lesson->uplink;
}

/*
 * The SYN-ACK shows what the kernel makes of a server's packets before any of them may be forwarded
 * without it. The client's ACK, which establishes the connection, then gives a lease to both directions
 * (lb_lease_answers()). Until then the lease has ended when it was noted.
 */
static __always_inline union lb_lease_bits lb_first_lease(const struct lb_lesson* lesson,
                                                          __u32 now) {
    const union lb_lease_bits noted = {.lease = {.end = now, .epoch = lesson->epoch}};
    return lesson->opening ? noted : lb_new_lease(now, lesson->longest, lesson->epoch);
}

/*
 * `former` is where the flow was counted until now: there, elsewhere or nowhere (NULL). The tag (`*there`
 * becomes `tag`) and the lease are written by the same writer as the rest: a flow under another's tag
 * could not be ended, and one with another's lease might outlive its epoch.
 */
static __always_inline void lb_rewrite(__u32 family, struct lb_flow* flow, __u8* there, __u8 tag,
                                       const struct lb_flow* former, const struct lb_lesson* lesson,
                                       __u32 now) {
    union lb_version_bits version;
    if (!lb_begin_writing(flow, &version)) {
        return;
    }
    lb_end_lease(flow);
    *there = tag;
    lb_write_flow(family, flow, lesson);
    flow->packets = former ? former->packets : 0;
    flow->bytes = former ? former->bytes : 0;
    version.version.ttl = lesson->ttl;
    version.version.dscp = lesson->dscp;
    *(volatile __u64*)lb_lease_word(flow) = lb_first_lease(lesson, now).word;
    lb_end_writing(flow, version);
}

/* The packets of a flow may have other MAC addresses now, or leave by another device. */
static __always_inline void lb_learn_again(__u32 family, struct lb_flow* flow, __u8* there,
                                           __u8 tag, const struct lb_lesson* lesson, __u32 now) {
    const union lb_lease_bits seen = lb_read_lease(flow);
    if (!lesson->opening && lb_is_learned(family, flow, lesson)) {
        lb_renew(flow, seen, lesson, now);
        return;
    }
    lb_end_lease(flow);
    lb_rewrite(family, flow, there, tag, flow, lesson, now);
}

static __always_inline void lb_count_full(void) {
    struct lb_lease_control* control = lb_lease_control();
    if (control) {
        __sync_fetch_and_add(&control->full, 1);
    }
}

/* A place that nobody needs any more, or never has. */
static __always_inline bool lb_is_spare(__u32 family, __u32 place, __u8 tag, __u32 now) {
    if (tag == 0) {
        return true;
    }
    struct lb_flow* flow = lb_entry(family, place);
    return flow && lb_lease_left(lb_read_lease(flow).lease, now) == 0;
}

static __always_inline void lb_fill(__u32 family, __u32 place, struct lb_tags* tags, __u8 tag,
                                    const struct lb_flow* former, const struct lb_lesson* lesson,
                                    __u32 now) {
    struct lb_flow* flow = lb_entry(family, place);
    if (flow) {
        lb_rewrite(family, flow, lb_tag_at(tags, place), tag, former, lesson, now);
    }
}

#define LB_NOWHERE 0xffffffff

/* Where a flow is, and where it should be: there is a place nearer to where packets look first. */
struct lb_places {
    __u32 known;
    __u32 spare;
};

/* Ends what is there twice, or is about to move. */
static __always_inline struct lb_places lb_find_places(__u32 family, const struct lb_key* key,
                                                       struct lb_tags* tags, __u32 first, __u8 tag,
                                                       __u32 now) {
    struct lb_places places = {.known = LB_NOWHERE, .spare = LB_NOWHERE};
#pragma clang loop unroll(disable)
    for (__u32 way = 0; way < LB_WAYS; way++) {
        const __u32 place = lb_place(first, way);
        const __u8 there = LB_READ_ONCE(*lb_tag_at(tags, place));
        struct lb_flow* flow = there == tag ? lb_entry(family, place) : NULL;
        if (flow && lb_is_entry_of(family, flow, key)) {
            if (places.known != LB_NOWHERE || places.spare != LB_NOWHERE) {
                lb_end_lease(flow);
            }
            places.known = places.known == LB_NOWHERE ? place : places.known;
        } else if (places.known == LB_NOWHERE && places.spare == LB_NOWHERE &&
                   lb_is_spare(family, place, there, now)) {
            places.spare = place;
        }
    }
    return places;
}

/*
 * Into the place that the flow has, or into the first spare one, if that is nearer to where a packet looks
 * first; there is at most one entry of a flow that has a lease. True if it is new.
 */
static __always_inline bool lb_remember(__u32 family, const struct lb_lesson* lesson) {
    const __u64 hash = lb_key_hash(family, &lesson->from);
    const __u32 first = lb_first_place(family, hash);
    const __u8 tag = lb_flow_tag(hash);
    const __u32 now = lb_tick();
    struct lb_tags* tags = lb_tags(family, first);
    if (!tags) {
        return false;
    }
    const struct lb_places places = lb_find_places(family, &lesson->from, tags, first, tag, now);
    struct lb_flow* known = places.known == LB_NOWHERE ? NULL : lb_entry(family, places.known);
    if (places.spare != LB_NOWHERE) {
        lb_fill(family, places.spare, tags, tag, known, lesson, now);
    } else if (known) {
        lb_learn_again(family, known, lb_tag_at(tags, places.known), tag, lesson, now);
    } else {
        lb_count_full();
    }
    return places.spare != LB_NOWHERE && !known;
}

/* What a SYN-ACK has noted of the other direction, if that was just now and nothing has ended since. */
static __always_inline void lb_lease_answers(__u32 family, const struct lb_lesson* lesson) {
    struct lb_key back = {.protocol = lesson->to.protocol};
    union lb_version_bits version = {.word = 0};
    lb_reverse(family, lesson->to.word, &back);
    struct lb_flow* flow = lb_find_by_tags(family, lb_key_hash(family, &back), &back, &version);
    if (!flow) {
        return;
    }
    const union lb_lease_bits seen = lb_read_lease(flow);
    const __u32 now = lb_tick();
    if (seen.lease.end != 0 && now - seen.lease.end <= settings.ticks_per_second &&
        seen.lease.epoch == (__u16)lesson->epoch &&
        lb_is_reverse(family, lb_to(family, flow), lesson->from.word)) {
        lb_renew(flow, seen, lesson, now);
    }
}

/*
 * Global functions, which the verifier takes one by one and wants to return a number: inlined, all paths through one would be taken
 * with all paths through the next, half a million instructions and as many microseconds at each load.
 */
__noinline int lb_remember_ipv4(const struct lb_lesson* lesson) {
    return lesson ? lb_remember(LB_IPV4, lesson) : 0;
}
__noinline int lb_remember_ipv6(const struct lb_lesson* lesson) {
    return lesson ? lb_remember(LB_IPV6, lesson) : 0;
}
__noinline int lb_lease_answers_ipv4(const struct lb_lesson* lesson) {
    if (lesson) {
        lb_lease_answers(LB_IPV4, lesson);
    }
    return 0;
}
__noinline int lb_lease_answers_ipv6(const struct lb_lesson* lesson) {
    if (lesson) {
        lb_lease_answers(LB_IPV6, lesson);
    }
    return 0;
}
__noinline int lb_end_flow_ipv4(const struct lb_key* key) {
    if (key) {
        lb_end_flow(LB_IPV4, key);
    }
    return 0;
}
__noinline int lb_end_flow_ipv6(const struct lb_key* key) {
    if (key) {
        lb_end_flow(LB_IPV6, key);
    }
    return 0;
}

static __always_inline void lb_end_flow_of(__u32 family, const struct lb_key* key) {
    if (family == LB_IPV4) {
        lb_end_flow_ipv4(key);
    } else {
        lb_end_flow_ipv6(key);
    }
}

/* The packet opens a connection, establishes it or is one of many. */
static __always_inline void lb_take_lesson(__u32 family, const struct lb_lesson* lesson) {
    const bool is_new = family == LB_IPV4 ? lb_remember_ipv4(lesson) : lb_remember_ipv6(lesson);
    if (!is_new || lesson->to.protocol != IPPROTO_TCP || lesson->opening) {
        return;
    }
    if (family == LB_IPV4) {
        lb_lease_answers_ipv4(lesson);
    } else {
        lb_lease_answers_ipv6(lesson);
    }
}

#endif
