/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passive health: which beginnings of connections are answered, by which uplink and how fast. Only
 * SYNs and their answers pay for it. The counters are shared by all CPUs, hence the atomic additions.
 */
#ifndef LINKBAL_BPF_HANDSHAKE_H
#define LINKBAL_BPF_HANDSHAKE_H

#include "count.h"
#include "maps.h"
#include "packet.h"
#include "parse.h"

/* An answer without data, of the longest headers that are looked at: Ethernet with a VLAN tag 18,
 * IPv6 40, TCP with all of its options 60. */
#define LB_LONGEST_ANSWER 118

static __always_inline struct lb_handshake_counters* lb_handshake_counters(__u32 uplink,
                                                                           __u32 family) {
    const __u32 key = uplink * LB_FAMILIES + family;
    return bpf_map_lookup_elem(&handshake_counters, &key);
}

static __always_inline struct lb_handshake_key
lb_handshake_key(__u32 family, const struct lb_address* client, __be16 client_port,
                 const struct lb_address* server, __be16 server_port) {
    struct lb_handshake_key key = {
        .client_port = client_port, .server_port = server_port, .family = family};
    __builtin_memcpy(key.client, client, sizeof(key.client));
    __builtin_memcpy(key.server, server, sizeof(key.server));
    return key;
}

static __always_inline void lb_count_attempt(const struct lb_packet* packet, __u32 uplink,
                                             bool again) {
    struct lb_handshake_counters* counters = lb_handshake_counters(uplink, packet->family);
    if (!counters) {
        return;
    }
    const __u32 slot = lb_handshake_slot(packet->family, &packet->server, settings.hash_seed);
    __sync_fetch_and_add(again ? &counters->retries : &counters->attempts, 1);
    __sync_fetch_and_add(&counters->slot_attempts[slot & (LB_SLOTS - 1)], 1);
}

/*
 * A SYN from the LAN on its way to an uplink. Where conntrack can't be asked, every SYN is taken for
 * a new connection's and picks again; nftables then sends it where the first one went.
 */
static __always_inline void lb_note_syn(const struct lb_packet* packet, __u32 uplink) {
    const struct lb_handshake_key key =
        lb_handshake_key(packet->family, &packet->client, packet->source_port, &packet->server,
                         packet->destination_port);
    const __u64 now = bpf_ktime_get_ns();
    struct lb_handshake* pending = bpf_map_lookup_elem(&handshakes, &key);
    const bool alive = pending && now - pending->began_ns < LB_HANDSHAKE_LIFE_NS;
    if (alive && (pending->uplink == uplink || !settings.has_conntrack)) {
        pending->repeated = 1;
        lb_count_attempt(packet, pending->uplink, true);
        return;
    }
    const struct lb_handshake first = {.began_ns = now, .uplink = uplink};
    bpf_map_update_elem(&handshakes, &key, &first, BPF_ANY);
    lb_count_attempt(packet, uplink, false);
}

static __always_inline void lb_count_answer(__u32 family, const struct lb_address* server,
                                            const struct lb_handshake* handshake) {
    struct lb_handshake_counters* counters = lb_handshake_counters(handshake->uplink, family);
    if (!counters) {
        return;
    }
    const __u32 slot = lb_handshake_slot(family, server, settings.hash_seed);
    __sync_fetch_and_add(&counters->answers, 1);
    __sync_fetch_and_add(&counters->slot_answers[slot & (LB_SLOTS - 1)], 1);
    if (!handshake->repeated) {
        __sync_fetch_and_add(&counters->rtt_sum_ns, bpf_ktime_get_ns() - handshake->began_ns);
        __sync_fetch_and_add(&counters->rtt_samples, 1);
    }
}

/* Where in an IP header without options or extensions, and behind it, an answer shows. */
struct lb_answer_place {
    __u32 version;
    __u32 protocol;
    __u32 flags;
};

static __always_inline bool lb_shows_answer(__u8 protocol, __u8 flags) {
    return protocol == IPPROTO_TCP && (flags & (LB_TCP_SYN | LB_TCP_RST));
}

/*
 * Nearly all packets are linear and have an Ethernet header, and are looked at where they lie. Others are
 * read relative to the network header; what can't be read so is for the parser, which pulls.
 */
static __always_inline bool lb_peek_answer(struct __sk_buff* skb, struct lb_answer_place at) {
    const __u8* frame = (const void*)(long)skb->data;
    const __u8* end = (const void*)(long)skb->data_end;
    const struct ethhdr* ethernet = (const void*)frame;
    const __u8* ip = frame + sizeof(*ethernet);
    if (ip + at.flags + 1 <= end && ethernet->h_proto == skb->protocol &&
        ip[0] >> 4 == at.version) {
        return lb_shows_answer(ip[at.protocol], ip[at.flags]);
    }
    __u8 protocol;
    __u8 flags;
    if (bpf_skb_load_bytes_relative(skb, at.protocol, &protocol, 1, BPF_HDR_START_NET) ||
        bpf_skb_load_bytes_relative(skb, at.flags, &flags, 1, BPF_HDR_START_NET)) {
        return true;
    }
    return lb_shows_answer(protocol, flags);
}

/* Cheap, and wrong now and then: true for every answer without IP options or extension headers. */
static __always_inline bool lb_may_be_answer(struct __sk_buff* skb) {
    const struct lb_answer_place ipv4 = {.version = 4,
                                         .protocol = offsetof(struct iphdr, protocol),
                                         .flags = sizeof(struct iphdr) + LB_TCP_FLAGS};
    const struct lb_answer_place ipv6 = {.version = 6,
                                         .protocol = offsetof(struct ipv6hdr, nexthdr),
                                         .flags = sizeof(struct ipv6hdr) + LB_TCP_FLAGS};
    if (skb->len > LB_LONGEST_ANSWER) {
        return false;
    }
    return skb->protocol == bpf_htons(ETH_P_IP) ? lb_peek_answer(skb, ipv4)
                                                : lb_peek_answer(skb, ipv6);
}

/* A packet to the LAN that came in by a device; source and destination are the server and the client,
 * NAT undone. Not inlined, for its stack. */
static __noinline int lb_note_answer(struct __sk_buff* skb, __u32 uplink) {
    struct lb_packet packet = {};
    if (lb_parse(skb, &packet) != LB_KIND_TCP_LATER || !packet.is_answer) {
        return 0;
    }
    const struct lb_handshake_key key = lb_handshake_key(
        packet.family, &packet.server, packet.destination_port, &packet.client, packet.source_port);
    const struct lb_handshake* pending = bpf_map_lookup_elem(&handshakes, &key);
    if (!pending || pending->uplink != uplink) {
        return 0;
    }
    const struct lb_handshake handshake = *pending;
    /* Another CPU may have the same answer in its hands, and only one of them is to count it. */
    if (bpf_map_delete_elem(&handshakes, &key) == 0) {
        lb_count_answer(packet.family, &packet.client, &handshake);
    }
    return 0;
}

#endif
