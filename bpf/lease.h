/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases. An entry is believed for a while; before that ends one packet goes the kernel's way and
 * renews it when it arrives at egress.
 */
#ifndef LINKBAL_BPF_LEASE_H
#define LINKBAL_BPF_LEASE_H

#include "flow.h"

#define LB_SHORTEST_LEASE 1 /* seconds */
#define LB_LONGEST_LEASE 180

/* A renewal is a packet that goes the kernel's way, about 3 us, and more where so many flows have emptied
 * the caches: these are to take a twentieth of a core at most, with room to spare. */
#define LB_RENEWALS_PER_SECOND 8000

union lb_lease_bits {
    struct lb_lease lease;
    __u64 word;
};

static __always_inline union lb_lease_bits lb_read_lease(struct lb_flow* flow) {
    const union lb_lease_bits bits = {.word = LB_READ_ONCE(*lb_lease_word(flow))};
    return bits;
}

/* False if it has become another one since `seen` was read. */
static __always_inline bool lb_replace_lease(struct lb_flow* flow, union lb_lease_bits seen,
                                             union lb_lease_bits next) {
    return __sync_val_compare_and_swap(lb_lease_word(flow), seen.word, next.word) == seen.word;
}

/* The verifier replaces this helper by one load (since 5.6); any clock costs a call. */
static __always_inline __u32 lb_tick(void) {
    return (__u32)(bpf_jiffies64() >> settings.tick_shift);
}

/* Ticks that are left, 0 for none. Leases are shorter than 2^16 ticks: what seems to be longer ended
 * years ago, before the count of ticks wrapped. */
static __always_inline __u32 lb_lease_left(struct lb_lease lease, __u32 now) {
    const __u32 left = lease.end - now;
    return left > 0xffff ? 0 : left;
}

/* True for the one packet that is to renew the lease. If it does not arrive, another one is sent after
 * a while. */
static __always_inline bool lb_claim_renewal(struct lb_flow* flow, union lb_lease_bits seen,
                                             __u32 left) {
    if (left > seen.lease.renew) {
        return false;
    }
    const __u32 pause = seen.lease.renew / 4 + 1;
    union lb_lease_bits claimed = seen;
    claimed.lease.renew = left > pause ? left - pause : 0;
    return lb_replace_lease(flow, seen, claimed);
}

/*
 * With n leases given in `elapsed` ticks, each as long as `ticks`, about n / elapsed * ticks flows are
 * alive, and that many can be renewed within the budget in (flows / budget) ticks. Leases get longer
 * at once, but shorter no faster than they run out: flows that were learned together are not
 * heard of again for most of their lease.
 */
static __always_inline __u32 lb_next_length(__u64 given, __u32 elapsed, __u32 ticks) {
    const __u32 per_second = settings.ticks_per_second;
    const __u64 needed = given * ticks * per_second / ((__u64)elapsed * LB_RENEWALS_PER_SECOND);
    const __u32 floor = elapsed < ticks ? ticks - elapsed / 2 : 0;
    const __u64 wanted = needed > floor ? needed : floor;
    if (wanted < LB_SHORTEST_LEASE * per_second) {
        return LB_SHORTEST_LEASE * per_second;
    }
    return wanted < LB_LONGEST_LEASE * per_second ? (__u32)wanted : LB_LONGEST_LEASE * per_second;
}

static __always_inline struct lb_lease_control* lb_lease_control(void) {
    const __u32 zero = 0;
    return bpf_map_lookup_elem(&lease, &zero);
}

/* Counts a lease that is given, and says how long it is, in ticks. */
static __always_inline __u32 lb_lease_length(__u32 now) {
    struct lb_lease_control* control = lb_lease_control();
    if (!control) {
        return 0;
    }
    __sync_fetch_and_add(&control->renewals, 1);
    const __u32 begin = LB_READ_ONCE(control->window);
    const __u32 elapsed = now - begin;
    const __u32 ticks = LB_READ_ONCE(control->ticks);
    if (ticks == 0) {
        control->ticks = LB_SHORTEST_LEASE * settings.ticks_per_second;
        control->window = now;
        return control->ticks;
    }
    /* One CPU does it. */
    if (elapsed >= settings.ticks_per_second &&
        __sync_val_compare_and_swap(&control->window, begin, now) == begin) {
        const __u64 given = __sync_lock_test_and_set(&control->renewals, 0);
        control->ticks = lb_next_length(given, elapsed, ticks);
    }
    return ticks;
}

/* A lease of at most `most` ticks. Flows that were learned together are renewed at different times. */
static __always_inline union lb_lease_bits lb_new_lease(__u32 now, __u32 most, __u32 epoch) {
    const __u32 wanted = lb_lease_length(now);
    const __u32 ticks = wanted < most ? wanted : most;
    const __u32 half = ticks / 2;
    const union lb_lease_bits bits = {
        .lease = {.end = now + ticks,
                  .renew = half / 8 + bpf_get_prandom_u32() % (half + 1) * 7 / 8,
                  .epoch = epoch}};
    return bits;
}

static __always_inline __u32 lb_epoch(__u32 uplink) {
    const __u32* epoch = bpf_map_lookup_elem(&epochs, &uplink);
    return epoch ? (__u16)LB_READ_ONCE(*epoch) : 0;
}

#endif
