/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only code that touches marks; the bits outside the mask are others' and stay. The diagram is
 * in include/linkbal/abi.h. */
#ifndef LINKBAL_BPF_MARK_H
#define LINKBAL_BPF_MARK_H

#include "maps.h"

static __always_inline __u32 lb_mark_uplink(__u32 mark) {
    return (mark & settings.mark_mask) >> settings.mark_shift;
}

static __always_inline void lb_mark_packet(struct __sk_buff* skb, __u32 uplink) {
    const __u32 bits = (uplink << settings.mark_shift) & settings.mark_mask;
    skb->mark = (skb->mark & ~settings.mark_mask) | bits;
}

#endif
