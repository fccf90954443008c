/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decision about a packet from the LAN. Cheap and common answers come first: a TCP segment of
 * an open connection pays for its headers and nothing else. */
#ifndef LINKBAL_BPF_CLASSIFY_H
#define LINKBAL_BPF_CLASSIFY_H

#include "conntrack.h"
#include "count.h"
#include "handshake.h"
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

/* Without conntrack only TCP tells by itself which packet begins a connection. */
static __always_inline enum lb_verdict
lb_classify_tracked(struct __sk_buff* skb, const struct lb_packet* packet, bool begins) {
    __u32 mark = 0;
    return lb_conntrack_mark(skb, packet, &mark) ? lb_classify_known(skb, packet, mark)
                                                 : lb_classify_unknown(skb, packet, begins);
}

static __always_inline enum lb_verdict lb_classify_syn(struct __sk_buff* skb,
                                                       const struct lb_packet* packet) {
    const enum lb_verdict verdict = lb_classify_tracked(skb, packet, true);
    if (verdict == LB_VERDICT_PICKED || verdict == LB_VERDICT_PINNED) {
        lb_note_syn(packet, lb_mark_uplink(skb->mark));
    }
    return verdict;
}

static __always_inline enum lb_verdict lb_classify_packet(struct __sk_buff* skb) {
    struct lb_packet packet = {};
    switch (lb_parse(skb, &packet)) {
    case LB_KIND_TCP_LATER:
        return LB_VERDICT_ESTABLISHED;
    case LB_KIND_SYN:
        return lb_classify_syn(skb, &packet);
    case LB_KIND_UDP:
        return lb_classify_tracked(skb, &packet, settings.has_conntrack);
    case LB_KIND_OTHER:
        return lb_classify_unknown(skb, &packet, false);
    case LB_KIND_NOT_IP:
        return LB_VERDICT_NOT_IP;
    default:
        return LB_VERDICT_MALFORMED;
    }
}

#endif
