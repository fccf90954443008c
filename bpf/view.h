/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet as the fast path sees it: where it lies, without copying, and only what it takes. The
 * classifier, which must make something of every packet, has a parser of its own (parse.h).
 */
#ifndef LINKBAL_BPF_VIEW_H
#define LINKBAL_BPF_VIEW_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>

#include "flow.h"
#include "parse.h"

#define LB_DSCP_MASK 0xfc

struct lb_frame {
    void* ip;
    void* end;  /* of what can be read */
    __u32 size; /* of the frame from the IP header on, what can't be read included */
};

struct lb_view {
    struct lb_key key;
    __u32 length;  /* of the IP packet */
    __u32 headers; /* of those, IP and transport */
    __u8 ttl;
    __u8 dscp;
    __u8 flags; /* of TCP */
    __u8 tos;
};

/* Places in headers without options. */
static __always_inline __u32 lb_header_size(__u32 family) {
    return family == LB_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}
static __always_inline __u32 lb_tuple_place(__u32 family) {
    return family == LB_IPV4 ? offsetof(struct iphdr, saddr) : offsetof(struct ipv6hdr, saddr);
}
static __always_inline __u32 lb_ttl_place(__u32 family) {
    return family == LB_IPV4 ? offsetof(struct iphdr, ttl) : offsetof(struct ipv6hdr, hop_limit);
}

static __always_inline __u32 lb_fold(__u64 sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

static __always_inline bool lb_checksum_holds(const struct iphdr* ip) {
    const __u32* word = (const __u32*)ip;
    const __u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];
    return lb_fold(sum) == 0xffff;
}

static __always_inline enum lb_fast lb_view_ipv4(const struct iphdr* ip, struct lb_view* view) {
    if (ip->version != 4 || ip->ihl < 5) {
        return LB_FAST_MALFORMED;
    }
    if (ip->ihl > 5) {
        return LB_FAST_OPTIONS;
    }
    if (!lb_checksum_holds(ip)) {
        return LB_FAST_MALFORMED;
    }
    if (ip->frag_off & bpf_htons(LB_IPV4_FRAGMENT)) {
        return LB_FAST_FRAGMENT;
    }
    view->length = bpf_ntohs(ip->tot_len);
    view->ttl = ip->ttl;
    view->tos = ip->tos;
    view->key.protocol = ip->protocol;
    return LB_FAST_FORWARDED;
}

static __always_inline enum lb_fast lb_view_ipv6(const struct ipv6hdr* ip, struct lb_view* view) {
    if (ip->version != 6) {
        return LB_FAST_MALFORMED;
    }
    if (ip->nexthdr == IPPROTO_FRAGMENT) {
        return LB_FAST_FRAGMENT;
    }
    view->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
    view->ttl = ip->hop_limit;
    view->tos = bpf_ntohs(*(const __be16*)ip) >> 4;
    view->key.protocol = ip->nexthdr;
    return LB_FAST_FORWARDED;
}

/* Conntrack calls these malformed as well, and what it calls so is not the fast path's
 * (tcp_error() and udp_error() in net/netfilter). */
static __always_inline enum lb_fast lb_view_tcp(const struct tcphdr* tcp, const void* end,
                                                struct lb_view* view) {
    if ((const void*)(tcp + 1) > end) {
        return LB_FAST_MALFORMED;
    }
    view->flags = ((const __u8*)tcp)[LB_TCP_FLAGS];
    view->headers += tcp->doff * 4;
    return tcp->doff * 4 < sizeof(*tcp) || view->headers > view->length ? LB_FAST_MALFORMED
                                                                        : LB_FAST_FORWARDED;
}

static __always_inline enum lb_fast lb_view_udp(const struct udphdr* udp, struct lb_view* view) {
    const __u32 length = bpf_ntohs(udp->len);
    const __u32 room = view->length - view->headers;
    view->headers += sizeof(*udp);
    return length < sizeof(*udp) || length > room ? LB_FAST_MALFORMED : LB_FAST_FORWARDED;
}

/* LB_FAST_FORWARDED if the fast path may look for this packet's flow. */
static __always_inline enum lb_fast lb_view(__u32 family, const struct lb_frame* frame,
                                            struct lb_view* view) {
    const __u32 header = lb_header_size(family);
    void* transport = frame->ip + header;
    if (transport + sizeof(struct udphdr) > frame->end) {
        return LB_FAST_MALFORMED;
    }
    const enum lb_fast reason =
        family == LB_IPV4 ? lb_view_ipv4(frame->ip, view) : lb_view_ipv6(frame->ip, view);
    if (reason != LB_FAST_FORWARDED) {
        return reason;
    }
    if (view->key.protocol != IPPROTO_TCP && view->key.protocol != IPPROTO_UDP) {
        return LB_FAST_PROTOCOL;
    }
    if (view->length > frame->size || view->length < header + sizeof(struct udphdr)) {
        return LB_FAST_MALFORMED;
    }
    if (view->ttl <= 1) {
        return LB_FAST_TTL;
    }
    lb_copy_words(view->key.word, frame->ip + lb_tuple_place(family), lb_tuple_words(family));
    view->dscp = view->tos & LB_DSCP_MASK;
    view->headers = header;
    view->flags = 0;
    return view->key.protocol == IPPROTO_TCP ? lb_view_tcp(transport, frame->end, view)
                                             : lb_view_udp(transport, view);
}

/* A segment in the midst of its connection, as far as it can tell by itself; or UDP. */
static __always_inline bool lb_is_ordinary(const struct lb_view* view) {
    const __u8 special = LB_TCP_FIN | LB_TCP_SYN | LB_TCP_RST;
    return view->key.protocol == IPPROTO_UDP ||
           (view->flags & (special | LB_TCP_ACK)) == LB_TCP_ACK;
}

static __always_inline bool lb_is_syn_ack(const struct lb_view* view) {
    const __u8 special = LB_TCP_FIN | LB_TCP_SYN | LB_TCP_RST | LB_TCP_ACK;
    return view->key.protocol == IPPROTO_TCP &&
           (view->flags & special) == (LB_TCP_SYN | LB_TCP_ACK);
}

#endif
