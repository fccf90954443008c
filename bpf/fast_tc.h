/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fast path in tc, where XDP does not fit. It runs behind GRO, so bulk TCP comes in pieces of
 * 64 kB, and what it sends passes the qdisc and the programs at egress.
 */
#ifndef LINKBAL_BPF_FAST_TC_H
#define LINKBAL_BPF_FAST_TC_H

#include "cursor.h"
#include "mark.h"
#include "rewrite.h"

#define LB_PACKET_HOST 0 /* PACKET_HOST of linux/if_packet.h: the frame has our MAC address */

/* The priority that forwarding gives a packet by its TOS, for qdiscs with bands: ip_tos2prio[] in
 * net/ipv4/route.c. IPv6 keeps what it has. */
static __always_inline __u32 lb_priority(__u8 tos) {
    const __u32 priorities = 0x04060200; /* interactive bulk, interactive, bulk, best effort */
    return priorities >> (tos >> 3 & 3) * 8 & 0xff;
}

/* What of a packet must fit the MTU: its largest segment. */
static __always_inline __u32 lb_segment_size(const struct __sk_buff* skb,
                                             const struct lb_view* view) {
    return skb->gso_size ? view->headers + skb->gso_size : view->length;
}

/* On the wire, each segment with its headers, as the kernel counts it (qdisc_pkt_len_init()). */
static __always_inline __u32 lb_wire_size(const struct __sk_buff* skb, const struct lb_view* view,
                                          const struct lb_way* way) {
    const __u32 link = way->out->ethernet ? sizeof(struct ethhdr) : 0;
    return link + view->length + (lb_segments(skb) - 1) * (link + view->headers);
}

static __always_inline struct lb_frame lb_tc_frame(const struct __sk_buff* skb, __u32 link) {
    const struct lb_frame frame = {.ip = (void*)(long)skb->data + link,
                                   .end = (void*)(long)skb->data_end,
                                   .size = skb->len - link};
    return frame;
}

/* Headers beyond the linear part can't be read directly. */
static __always_inline void lb_tc_pull(struct __sk_buff* skb, __u32 link) {
    const __u32 wanted = link + sizeof(struct ipv6hdr) + sizeof(struct tcphdr);
    const void* end = (void*)(long)skb->data_end;
    if ((void*)(long)skb->data + wanted > end && skb->len > skb->data_end - skb->data) {
        bpf_skb_pull_data(skb, skb->len < wanted ? skb->len : wanted);
    }
}

/* Makes the frame what it will be in size and layout. All that can fail is done before anything is
 * written. */
static __always_inline bool lb_tc_reshape(struct __sk_buff* skb, __u32 link, __u32 length,
                                          const struct lb_way* way) {
    if (skb->len > link + length && bpf_skb_change_tail(skb, link + length, 0)) {
        return false;
    }
    if (link == 0 && way->out->ethernet) {
        return bpf_skb_change_head(skb, sizeof(struct ethhdr), 0) == 0;
    }
    return true;
}

/*
 * The kernel may have left the transport checksum to the device, or have a sum of the whole packet
 * beside it: the helper knows. A difference folded to 16 bits is as good as one of 32.
 */
static __always_inline void lb_tc_checksum(struct __sk_buff* skb, __u32 family, __u32 link,
                                           const struct lb_view* view, const struct lb_way* way) {
    const __u32 addresses = lb_tuple_words(family) - 1;
    const bool tcp = view->key.protocol == IPPROTO_TCP;
    const __u32 place = link + lb_header_size(family) +
                        (tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
    const __u64 flags = tcp ? 0 : BPF_F_MARK_MANGLED_0;
    const __u64 pseudo = lb_difference(view->key.word, way->to, addresses);
    const __u64 ports = lb_difference(view->key.word + addresses, way->to + addresses, 1);
    bpf_l4_csum_replace(skb, place, 0, lb_fold(pseudo), flags | BPF_F_PSEUDO_HDR);
    bpf_l4_csum_replace(skb, place, 0, lb_fold(ports), flags);
}

static __always_inline bool lb_tc_write(struct __sk_buff* skb, __u32 family, __u32 link,
                                        const struct lb_view* view, const struct lb_way* way) {
    void* frame = (void*)(long)skb->data;
    void* ip = frame + link;
    if (ip + lb_header_size(family) + sizeof(struct udphdr) > (void*)(long)skb->data_end) {
        return false;
    }
    if (link != 0) {
        struct ethhdr* ethernet = frame;
        lb_write_ethernet(ethernet, way);
        ethernet->h_proto = skb->protocol;
    }
    lb_write_ip(family, ip, view, way);
    if (lb_is_translated(family, view, way)) {
        lb_tc_checksum(skb, family, link, view, way);
    }
    return true;
}

/* As the kernel's own forwarding leaves a packet, for qdiscs and filters. */
static __always_inline void lb_tc_label(struct __sk_buff* skb, __u32 family,
                                        const struct lb_view* view, const struct lb_way* way) {
    if (way->out->uplink != LB_NO_UPLINK) {
        lb_mark_packet(skb, way->uplink);
    }
    if (family == LB_IPV4) {
        skb->priority = lb_priority(view->tos);
    }
    skb->tc_index = settings.tag;
}

static __always_inline enum lb_fast lb_tc_forward(struct __sk_buff* skb, __u32 family, __u32 link,
                                                  int* action) {
    lb_tc_pull(skb, link);
    const struct lb_frame frame = lb_tc_frame(skb, link);
    struct lb_view view;
    enum lb_fast reason = lb_view(family, &frame, &view);
    if (reason != LB_FAST_FORWARDED) {
        return reason;
    }
    const struct lb_arrival arrival = {.ifindex = skb->ifindex,
                                       .mtu_size = lb_segment_size(skb, &view)};
    struct lb_way way;
    reason = lb_judge(family, &view, &arrival, &way);
    if (reason != LB_FAST_FORWARDED) {
        return reason;
    }
    const __u32 size = lb_wire_size(skb, &view, &way);
    if (!lb_count_flow(family, &way, lb_segments(skb), size)) {
        return LB_FAST_MISS;
    }
    if (!lb_tc_reshape(skb, link, view.length, &way)) {
        return LB_FAST_NO_REDIRECT;
    }
    const __u32 link_now = link == 0 && way.out->ethernet ? sizeof(struct ethhdr) : link;
    if (!lb_tc_write(skb, family, link_now, &view, &way)) {
        return LB_FAST_MALFORMED;
    }
    lb_tc_label(skb, family, &view, &way);
    lb_count_way(&way, lb_segments(skb), size);
    *action = bpf_redirect(way.out->ifindex, 0);
    return LB_FAST_FORWARDED;
}

static __always_inline enum lb_fast lb_tc_any(struct __sk_buff* skb, __u32 link, int* action) {
    if (skb->pkt_type != LB_PACKET_HOST) {
        return LB_FAST_NOT_FOR_US;
    }
    if (lb_is_tagged(skb)) {
        return LB_FAST_TAGGED;
    }
    switch (skb->protocol) {
    case bpf_htons(ETH_P_IP):
        return lb_tc_forward(skb, LB_IPV4, link, action);
    case bpf_htons(ETH_P_IPV6):
        return lb_tc_forward(skb, LB_IPV6, link, action);
    default:
        return LB_FAST_NOT_IP;
    }
}

/* True if the packet is on its way; `action` is then what the program returns. `link` is the size of
 * the device's link-layer header. */
static __always_inline bool lb_tc(struct __sk_buff* skb, __u32 link, int* action) {
    const enum lb_fast reason = lb_tc_any(skb, link, action);
    if (reason == LB_FAST_FORWARDED) {
        return true;
    }
    if (skb->tc_index == settings.tag) { /* came by a veth from the tc of another namespace */
        skb->tc_index = 0;
    }
    lb_count_fast(reason, skb->len);
    return false;
}

#endif
