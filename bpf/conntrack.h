/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What conntrack knows of a packet's connection. */
#ifndef LINKBAL_BPF_CONNTRACK_H
#define LINKBAL_BPF_CONNTRACK_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "packet.h"

/* The kernel's type, as far as it is read; libbpf finds the real offset (CO-RE). */
struct nf_conn {
    __u32 mark;
} __attribute__((preserve_access_index));

/*
 * The kernel's struct bpf_ct_opts as it was before 6.11. A caller that says 12 bytes gets the
 * default conntrack zone, on every kernel.
 */
struct lb_ct_opts {
    __s32 netns_id;
    __s32 error;
    __u8 protocol;
    __u8 direction;
    __u8 reserved[2];
};
_Static_assert(sizeof(struct lb_ct_opts) == 12, "bpf_ct_opts is 12 bytes");

/*
 * Weak: a kernel without them (before 6.0, or without conntrack) loads the programs all the same.
 * settings.has_conntrack must then be 0, and the verifier drops the calls as dead code.
 */
extern struct nf_conn* bpf_skb_ct_lookup(struct __sk_buff* skb, struct bpf_sock_tuple* tuple,
                                         __u32 tuple_size, struct lb_ct_opts* opts,
                                         __u32 opts_size) __ksym __weak;
extern void bpf_ct_release(struct nf_conn* ct) __ksym __weak;

static __always_inline __u32 lb_tuple(const struct lb_packet* packet,
                                      struct bpf_sock_tuple* tuple) {
    if (packet->family == LB_IPV4) {
        tuple->ipv4.saddr = packet->client.word[0];
        tuple->ipv4.daddr = packet->server.word[0];
        tuple->ipv4.sport = packet->source_port;
        tuple->ipv4.dport = packet->destination_port;
        return sizeof(tuple->ipv4);
    }
    __builtin_memcpy(tuple->ipv6.saddr, &packet->client, sizeof(tuple->ipv6.saddr));
    __builtin_memcpy(tuple->ipv6.daddr, &packet->server, sizeof(tuple->ipv6.daddr));
    tuple->ipv6.sport = packet->source_port;
    tuple->ipv6.dport = packet->destination_port;
    return sizeof(tuple->ipv6);
}

/* True if conntrack knows the connection of a TCP or UDP packet; its mark is then in `mark`. */
static __always_inline bool lb_conntrack_mark(struct __sk_buff* skb, const struct lb_packet* packet,
                                              __u32* mark) {
    if (!settings.has_conntrack) {
        return false;
    }
    struct bpf_sock_tuple tuple = {};
    struct lb_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .protocol = packet->protocol};
    const __u32 size = lb_tuple(packet, &tuple);
    struct nf_conn* ct = bpf_skb_ct_lookup(skb, &tuple, size, &opts, sizeof(opts));
    if (!ct) {
        return false;
    }
    *mark = ct->mark;
    bpf_ct_release(ct);
    return true;
}

#endif
