/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What conntrack knows of a packet's connection. */
#ifndef LINKBAL_BPF_CONNTRACK_H
#define LINKBAL_BPF_CONNTRACK_H

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_helpers.h>

#include "flow.h"
#include "maps.h"
#include "packet.h"

/* The kernel's types, as far as they are read; libbpf finds the real offsets (CO-RE). */
union nf_inet_addr {
    __u32 all[4];
} __attribute__((preserve_access_index));

union nf_conntrack_man_proto {
    __be16 all;
} __attribute__((preserve_access_index));

struct nf_conntrack_man {
    union nf_inet_addr u3;
    union nf_conntrack_man_proto u;
} __attribute__((preserve_access_index));

struct nf_conntrack_tuple {
    struct nf_conntrack_man src;
    struct {
        union nf_inet_addr u3;
        union {
            __be16 all;
        } u;
    } dst;
} __attribute__((preserve_access_index));

struct nf_conntrack_tuple_hash {
    struct nf_conntrack_tuple tuple;
} __attribute__((preserve_access_index));

struct nf_ct_ext {
    __u8 offset[1];
} __attribute__((preserve_access_index));

struct ip_ct_tcp {
    __u8 state;
} __attribute__((preserve_access_index));

union nf_conntrack_proto {
    struct ip_ct_tcp tcp;
} __attribute__((preserve_access_index));

struct nf_conn {
    __u32 timeout; /* in jiffies, their lower half */
    struct nf_conntrack_tuple_hash tuplehash[2];
    unsigned long status;
    __u32 mark;
    struct nf_ct_ext* ext;
    union nf_conntrack_proto proto;
} __attribute__((preserve_access_index));

/* Of nf_conn.status (linux/netfilter/nf_conntrack_common.h) and nf_conn.proto.tcp.state. */
#define LB_CT_SEEN_REPLY (1 << 1)
#define LB_CT_CONFIRMED (1 << 3)
#define LB_CT_SEQ_ADJUST (1 << 6)
#define LB_CT_DYING (1 << 9)
#define LB_CT_HELPER (1 << 13)
#define LB_CT_OFFLOAD (1 << 14)
#define LB_CT_HW_OFFLOAD (1 << 15)
#define LB_CT_TCP_SYN_RECV 2
#define LB_CT_TCP_ESTABLISHED 3

/* Its extensions' places, 0 for those that a connection does not have: NF_CT_EXT_HELPER. */
#define LB_CT_EXT_HELPER 0

/*
 * The kernel's struct bpf_ct_opts as it was before 6.11. A caller that says 12 bytes gets the
 * default conntrack zone, on every kernel.
 */
struct lb_ct_opts {
    __s32 netns_id;
    __s32 error;
    __u8 protocol;
    __u8 direction; /* out: of the tuple that was looked for */
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
extern int bpf_ct_change_timeout(struct nf_conn* ct, __u32 milliseconds) __ksym __weak;

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

/* The packets of a direction of a connection as they come, before NAT. */
static __always_inline void lb_copy_tuple(__u32 family, const struct nf_conntrack_tuple* tuple,
                                          struct lb_key* key) {
    const __u32 half = family == LB_IPV4 ? 1 : 4;
#pragma clang loop unroll(full)
    for (__u32 i = 0; i < half; i++) {
        key->word[i] = tuple->src.u3.all[i];
        key->word[half + i] = tuple->dst.u3.all[i];
    }
    __be16* port = (__be16*)&key->word[2 * half];
    port[0] = tuple->src.u.all;
    port[1] = tuple->dst.u.all;
}

/* True where every packet is translated alike, whatever is in it, and answers have come. */
static __always_inline bool lb_is_plain(const struct nf_conn* ct) {
    const unsigned long needed = LB_CT_SEEN_REPLY | LB_CT_CONFIRMED;
    const unsigned long others =
        LB_CT_SEQ_ADJUST | LB_CT_DYING | LB_CT_HELPER | LB_CT_OFFLOAD | LB_CT_HW_OFFLOAD;
    if ((ct->status & (needed | others)) != needed) {
        return false;
    }
    const struct nf_ct_ext* extensions = ct->ext;
    return !extensions || extensions->offset[LB_CT_EXT_HELPER] == 0;
}

#endif
