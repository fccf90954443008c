/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decision about a packet from the LAN. Cheap and common answers come first: a TCP segment of
 * an open connection pays for its headers and nothing else. */
#ifndef LINKBAL_BPF_CLASSIFY_H
#define LINKBAL_BPF_CLASSIFY_H

#include "conntrack.h"
#include "count.h"
#include "mark.h"
#include "parse.h"
#include "pick.h"

static __always_inline enum lb_verdict lb_mark_choice(struct __sk_buff* skb, __u32 uplink,
                                                      enum lb_verdict verdict) {
    if (uplink == LB_NO_UPLINK) {
        return LB_VERDICT_NO_UPLINK;
    }
    lb_mark_packet(skb, uplink);
    if (verdict == LB_VERDICT_PICKED) {
        lb_count_pick(uplink);
    }
    return verdict;
}

static __always_inline enum lb_verdict
lb_classify_known(struct __sk_buff* skb, const struct lb_packet* packet, __u32 mark) {
    const __u32 uplink = lb_mark_uplink(mark);
    if (uplink != LB_NO_UPLINK) {
        lb_mark_packet(skb, uplink);
        return LB_VERDICT_PINNED;
    }
    return lb_bypassed(packet) ? LB_VERDICT_BYPASS : LB_VERDICT_UNPINNED;
}

static __always_inline enum lb_verdict
lb_classify_unknown(struct __sk_buff* skb, const struct lb_packet* packet, bool begins) {
    if (lb_bypassed(packet)) {
        return LB_VERDICT_BYPASS;
    }
    if (begins) {
        return lb_mark_choice(skb, lb_pick(packet), LB_VERDICT_PICKED);
    }
    return lb_mark_choice(skb, lb_propose(packet), LB_VERDICT_PROPOSED);
}

static __always_inline enum lb_verdict lb_classify_packet(struct __sk_buff* skb) {
    struct lb_packet packet = {};
    __u32 mark = 0;
    const enum lb_kind kind = lb_parse(skb, &packet);
    switch (kind) {
    case LB_KIND_TCP_LATER:
        return LB_VERDICT_ESTABLISHED;
    case LB_KIND_SYN:
    case LB_KIND_UDP:
        if (lb_conntrack_mark(skb, &packet, &mark)) {
            return lb_classify_known(skb, &packet, mark);
        }
        /* Without conntrack only TCP tells by itself which packet begins a connection. */
        return lb_classify_unknown(skb, &packet, kind == LB_KIND_SYN || settings.has_conntrack);
    case LB_KIND_OTHER:
        return lb_classify_unknown(skb, &packet, false);
    case LB_KIND_NOT_IP:
        return LB_VERDICT_NOT_IP;
    default:
        return LB_VERDICT_MALFORMED;
    }
}

#endif
