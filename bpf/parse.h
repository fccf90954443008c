/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a packet's bytes to struct lb_packet. Each parser checks, steps over its header and returns
 * what follows. */
#ifndef LINKBAL_BPF_PARSE_H
#define LINKBAL_BPF_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "cursor.h"
#include "packet.h"

/* IP_MF and IP_OFFSET of the kernel's net/ip.h. */
#define LB_IPV4_FRAGMENT 0x3fff

/* More extension headers than RFC 8200, 4.1 knows to be in use; beyond that the ports stay unknown.
 */
#define LB_MAX_EXTENSIONS 8

#define LB_TCP_FLAGS 13 /* the flags' place in a TCP header */

/* Flags of a TCP header (RFC 9293, 3.1). */
#define LB_TCP_FIN 0x01
#define LB_TCP_SYN 0x02
#define LB_TCP_RST 0x04
#define LB_TCP_ACK 0x10

#define LB_VLAN_ID_MASK 0x0fff

/* The first two bytes are the same in all; the length counts 8 bytes after the first 8 (RFC 8200,
 * 4.2), or 4 bytes after the first 8 in an authentication header (RFC 4302, 2.2). */
struct lb_extension {
    __u8 next;
    __u8 length;
};

/*
 * The length field of a packet; it is 0 in packets beyond 64 kB that GRO made (BIG TCP: IPv6 since
 * 5.19, IPv4 since 6.3).
 */
static __always_inline __u32 lb_end(const struct __sk_buff* skb, __u32 header, __u32 length) {
    return length == 0 && skb->gso_size ? 0xffff : header + length;
}

static __always_inline enum lb_kind lb_parse_tcp(struct lb_cursor* cursor,
                                                 struct lb_packet* packet) {
    struct tcphdr tcp;
    if (!lb_cursor_read(cursor, &tcp, sizeof(tcp)) || tcp.doff * 4 < sizeof(tcp)) {
        return LB_KIND_MALFORMED;
    }
    packet->source_port = tcp.source;
    packet->destination_port = tcp.dest;
    packet->is_answer = tcp.rst || (tcp.syn && tcp.ack);
    return tcp.syn && !tcp.ack ? LB_KIND_SYN : LB_KIND_TCP_LATER;
}

static __always_inline enum lb_kind lb_parse_udp(struct lb_cursor* cursor,
                                                 struct lb_packet* packet) {
    struct udphdr udp;
    if (!lb_cursor_read(cursor, &udp, sizeof(udp))) {
        return LB_KIND_MALFORMED;
    }
    packet->source_port = udp.source;
    packet->destination_port = udp.dest;
    return LB_KIND_UDP;
}

static __always_inline enum lb_kind lb_parse_transport(struct lb_cursor* cursor,
                                                       struct lb_packet* packet) {
    switch (packet->protocol) {
    case IPPROTO_TCP:
        return lb_parse_tcp(cursor, packet);
    case IPPROTO_UDP:
        return lb_parse_udp(cursor, packet);
    default:
        return LB_KIND_OTHER;
    }
}

static __always_inline enum lb_kind lb_parse_ipv4(struct lb_cursor* cursor,
                                                  struct lb_packet* packet) {
    struct iphdr ip;
    if (!lb_cursor_read(cursor, &ip, sizeof(ip)) || ip.version != 4) {
        return LB_KIND_MALFORMED;
    }
    const __u32 header = ip.ihl * 4;
    cursor->end = lb_end(cursor->skb, 0, bpf_ntohs(ip.tot_len));
    if (header < sizeof(ip) || header > cursor->end) {
        return LB_KIND_MALFORMED;
    }
    cursor->offset = header;
    packet->family = LB_IPV4;
    packet->client.word[0] = ip.saddr;
    packet->server.word[0] = ip.daddr;
    packet->protocol = ip.protocol;
    if (ip.frag_off & bpf_htons(LB_IPV4_FRAGMENT)) {
        return LB_KIND_OTHER;
    }
    return lb_parse_transport(cursor, packet);
}

/* The extension headers that the kernel steps over to find the transport protocol
 * (ipv6_ext_hdr() in net/ipv6/exthdrs_core.c), but for fragments. */
static __always_inline bool lb_is_extension(__u32 next) {
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
           next == IPPROTO_AH;
}

static __always_inline enum lb_kind lb_parse_extensions(struct lb_cursor* cursor,
                                                        struct lb_packet* packet) {
    for (int i = 0; i < LB_MAX_EXTENSIONS; i++) {
        if (packet->protocol == IPPROTO_FRAGMENT) {
            return LB_KIND_OTHER;
        }
        if (!lb_is_extension(packet->protocol)) {
            return lb_parse_transport(cursor, packet);
        }
        const __u32 start = cursor->offset;
        struct lb_extension extension;
        if (!lb_cursor_read(cursor, &extension, sizeof(extension))) {
            return LB_KIND_MALFORMED;
        }
        cursor->offset = start + 8 + extension.length * (packet->protocol == IPPROTO_AH ? 4 : 8);
        packet->protocol = extension.next;
    }
    return LB_KIND_OTHER;
}

static __always_inline enum lb_kind lb_parse_ipv6(struct lb_cursor* cursor,
                                                  struct lb_packet* packet) {
    struct ipv6hdr ip;
    if (!lb_cursor_read(cursor, &ip, sizeof(ip)) || ip.version != 6) {
        return LB_KIND_MALFORMED;
    }
    cursor->end = lb_end(cursor->skb, sizeof(ip), bpf_ntohs(ip.payload_len));
    packet->family = LB_IPV6;
    __builtin_memcpy(&packet->client, &ip.saddr, sizeof(packet->client));
    __builtin_memcpy(&packet->server, &ip.daddr, sizeof(packet->server));
    packet->protocol = ip.nexthdr;
    return lb_parse_extensions(cursor, packet);
}

/*
 * A frame with a VLAN tag that the kernel has taken off (skb_vlan_untag() runs before tc ingress)
 * belongs to the VLAN's device and comes by there again without it. Id 0 is a priority only.
 */
static __always_inline bool lb_is_tagged(const struct __sk_buff* skb) {
    return skb->vlan_present && (skb->vlan_tci & LB_VLAN_ID_MASK);
}

static __noinline enum lb_kind lb_parse_once(struct __sk_buff* skb, struct lb_packet* packet) {
    struct lb_cursor cursor = {.skb = skb, .offset = 0, .end = 0xffff};
    switch (skb->protocol) {
    case bpf_htons(ETH_P_IP):
        return lb_parse_ipv4(&cursor, packet);
    case bpf_htons(ETH_P_IPV6):
        return lb_parse_ipv6(&cursor, packet);
    default:
        return LB_KIND_NOT_IP;
    }
}

static __always_inline enum lb_kind lb_parse(struct __sk_buff* skb, struct lb_packet* packet) {
    if (lb_is_tagged(skb)) {
        return LB_KIND_NOT_IP;
    }
    const enum lb_kind kind = lb_parse_once(skb, packet);
    if (kind == LB_KIND_MALFORMED && lb_pull_headers(skb)) {
        return lb_parse_once(skb, packet);
    }
    return kind;
}

#endif
