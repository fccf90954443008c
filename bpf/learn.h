/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learning at egress: conntrack says what the packet was when it came, and the frame itself shows what
 * the kernel has made of it. Only what the kernel has forwarded teaches; what the fast path has sent
 * does not prove that the kernel would still do so.
 */
#ifndef LINKBAL_BPF_LEARN_H
#define LINKBAL_BPF_LEARN_H

#include "conntrack.h"
#include "fast_tc.h"
#include "remember.h"

/* Three quarters of what conntrack has left for the connection: so it can't end before the lease. */
static __always_inline __u32 lb_longest_lease(const struct nf_conn* ct) {
    const __s32 left = ct->timeout - (__u32)bpf_jiffies64();
    const __u32 ticks = left > 0 ? (__u32)left >> settings.tick_shift : 0;
    return ticks - ticks / 4 < 0xffff ? ticks - ticks / 4 : 0xffff;
}

/*
 * Conntrack gives a TCP connection five minutes instead of days when it has seen data without its
 * acknowledgement (nf_conntrack_tcp_timeout_unacknowledged), and of what the fast path forwards it sees
 * neither. An idle connection must not die of that.
 */
static __always_inline void lb_keep_alive(struct nf_conn* ct, __u32 protocol) {
    if (protocol == IPPROTO_TCP && settings.has_timeout) {
        bpf_ct_change_timeout(ct, settings.tcp_timeout * 1000);
    }
}

static __always_inline bool lb_is_for_fast_path(const struct nf_conn* ct,
                                                const struct lb_lesson* lesson) {
    const __u8 state = lesson->opening ? LB_CT_TCP_SYN_RECV : LB_CT_TCP_ESTABLISHED;
    return lb_is_plain(ct) && lb_mark_uplink(ct->mark) == lesson->uplink &&
           (lesson->to.protocol != IPPROTO_TCP || ct->proto.tcp.state == state);
}

/* Fills in what conntrack knows; false if this connection is none for the fast path. */
static __always_inline bool lb_ask_conntrack(struct __sk_buff* skb, __u32 family,
                                             struct lb_lesson* lesson) {
    struct lb_key answer = {};
    lb_reverse(family, lesson->to.word, &answer);
    struct lb_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .protocol = lesson->to.protocol};
    struct nf_conn* ct = bpf_skb_ct_lookup(skb, (struct bpf_sock_tuple*)&answer,
                                           lb_tuple_words(family) * 4, &opts, sizeof(opts));
    if (!ct) {
        return false;
    }
    lesson->from.protocol = lesson->to.protocol;
    if (opts.direction) {
        lb_copy_tuple(family, &ct->tuplehash[0].tuple, &lesson->from);
    } else {
        lb_copy_tuple(family, &ct->tuplehash[1].tuple, &lesson->from);
    }
    const bool good = lb_is_for_fast_path(ct, lesson);
    if (good && !lesson->opening) {
        lb_keep_alive(ct, lesson->to.protocol);
        lesson->longest = lb_longest_lease(ct);
    }
    bpf_ct_release(ct);
    if (!good) {
        answer.protocol = lesson->to.protocol;
        lb_end_flow_of(family, &lesson->from);
        lb_end_flow_of(family, &answer);
    }
    return good;
}

/*
 * The packet has ended both directions when it came in, and what was on its way to egress then may have
 * begun one anew: conntrack did not yet know of the end.
 */
static __always_inline void lb_end_again(__u32 family, const struct lb_view* view) {
    struct lb_key back = {.protocol = view->key.protocol};
    lb_reverse(family, view->key.word, &back);
    lb_end_connection(family, lb_key_hash(family, &back), &back);
}

/* Decrypted packets are not to be mistaken for those that come in clear text. */
static __always_inline bool lb_was_encrypted(struct __sk_buff* skb) {
    struct bpf_xfrm_state state;
    return settings.has_xfrm && bpf_skb_get_xfrm_state(skb, 0, &state, sizeof(state), 0) == 0;
}

static __always_inline void lb_copy_mac(struct __sk_buff* skb, const struct lb_interface* out,
                                        __u8* mac) {
    const __u8* frame = (const void*)(long)skb->data;
    if (out->ethernet && frame + ETH_HLEN <= (const __u8*)(long)skb->data_end) {
        __builtin_memcpy(mac, frame, ETH_ALEN);
    }
}

/* Of these devices the program learns by itself; the other fields are for who attached it. */
static __always_inline void lb_check_interface(struct __sk_buff* skb, __u32 family,
                                               struct lb_interface* out) {
    __u32 mtu = 0;
    bpf_check_mtu(skb, 0, &mtu, 0, 0);
    if (mtu && mtu < out->mtu[family]) {
        out->mtu[family] = mtu;
    }
    const __u8* frame = (const void*)(long)skb->data;
    if (out->ethernet && frame + ETH_HLEN <= (const __u8*)(long)skb->data_end &&
        !lb_macs_equal(frame + ETH_ALEN, out->mac)) {
        __builtin_memcpy(out->mac, frame + ETH_ALEN, ETH_ALEN);
    }
}

static __always_inline void lb_learn_family(struct __sk_buff* skb, __u32 family,
                                            struct lb_interface* out, struct lb_lesson* lesson) {
    const __u32 link = out->ethernet ? ETH_HLEN : 0;
    lb_tc_pull(skb, link);
    const struct lb_frame frame = lb_tc_frame(skb, link);
    struct lb_view view;
    if (lb_view(family, &frame, &view) != LB_FAST_FORWARDED) {
        return;
    }
    lesson->opening = lb_is_syn_ack(&view);
    if (!lesson->opening && !lb_is_ordinary(&view)) {
        lb_end_again(family, &view);
        return;
    }
    lesson->to = view.key;
    lesson->ttl = view.ttl;
    lesson->dscp = view.dscp;
    if (!lb_ask_conntrack(skb, family, lesson) || lb_was_encrypted(skb)) {
        return;
    }
    lb_copy_mac(skb, out, lesson->mac);
    lb_check_interface(skb, family, out);
    lb_take_lesson(family, lesson);
}

/* Not inlined: each has a stack of its own. */
static __noinline int lb_learn_ipv4(struct __sk_buff* skb, struct lb_interface* out,
                                    struct lb_lesson* lesson) {
    lb_learn_family(skb, LB_IPV4, out, lesson);
    return 0;
}
static __noinline int lb_learn_ipv6(struct __sk_buff* skb, struct lb_interface* out,
                                    struct lb_lesson* lesson) {
    lb_learn_family(skb, LB_IPV6, out, lesson);
    return 0;
}

/* A packet that came in by `in` and leaves by `out`, one of which is an uplink. */
static __always_inline void lb_learn(struct __sk_buff* skb, const struct lb_device* in,
                                     const struct lb_device* out) {
    struct lb_interface* interface = bpf_map_lookup_elem(&interfaces, &out->slot);
    const __u32 uplink = in->uplink ? in->uplink : out->uplink;
    if (!interface) {
        return;
    }
    struct lb_lesson lesson = {
        .ingress = in->slot, .egress = out->slot, .uplink = uplink, .epoch = lb_epoch(uplink)};
    switch (skb->protocol) {
    case bpf_htons(ETH_P_IP):
        lb_learn_ipv4(skb, interface, &lesson);
        return;
    case bpf_htons(ETH_P_IPV6):
        lb_learn_ipv6(skb, interface, &lesson);
        return;
    }
}

#endif
