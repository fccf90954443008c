/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One cursor for every header. It counts from the network header, so that a device without
 * Ethernet header (PPP, tun) is read by the same code as one that has it.
 */
#ifndef LINKBAL_BPF_CURSOR_H
#define LINKBAL_BPF_CURSOR_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct lb_cursor {
    struct __sk_buff* skb;
    __u32 offset; /* from the network header */
    __u32 end;    /* the IP packet's own length: what follows on the wire is padding */
};

/* Copies the next `size` bytes and steps over them; false beyond the packet's end. */
static __always_inline bool lb_cursor_read(struct lb_cursor* cursor, void* to, __u32 size) {
    if (cursor->offset + size > cursor->end) {
        return false;
    }
    if (bpf_skb_load_bytes_relative(cursor->skb, cursor->offset, to, size, BPF_HDR_START_NET)) {
        return false;
    }
    cursor->offset += size;
    return true;
}

/*
 * bpf_skb_load_bytes_relative() sees only the linear part of a packet. Drivers put the headers
 * there as a rule but need not, so a packet that could not be read is pulled together and read
 * again. True if that may have helped.
 */
#define LB_HEADER_ROOM 512

static __always_inline bool lb_pull_headers(struct __sk_buff* skb) {
    const __u32 linear = skb->data_end - skb->data;
    if (linear >= skb->len || linear >= LB_HEADER_ROOM) {
        return false;
    }
    return bpf_skb_pull_data(skb, skb->len < LB_HEADER_ROOM ? skb->len : LB_HEADER_ROOM) == 0;
}

#endif
