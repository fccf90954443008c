// SPDX-License-Identifier: GPL-2.0-or-later
/* The programs. Each lets others' programs run after it: TC_ACT_UNSPEC is "next filter" to clsact
 * and TCX_NEXT to TCX. */
#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "classify.h"
#include "fast_tc.h"
#include "fast_xdp.h"
#include "learn.h"

/* LAN device, ingress. */
SEC("tc")
int lb_classify(struct __sk_buff* skb) {
    lb_count_verdict(skb, lb_classify_packet(skb));
    return TC_ACT_UNSPEC;
}

/* LAN device, ingress, where tc forwards. */
SEC("tc")
int lb_fast_lan(struct __sk_buff* skb) {
    int action = TC_ACT_UNSPEC;
    if (!lb_tc(skb, ETH_HLEN, &action)) {
        lb_count_verdict(skb, lb_classify_packet(skb));
    }
    return action;
}

/* Uplink device, ingress, where tc forwards. */
SEC("tc")
int lb_fast_uplink(struct __sk_buff* skb) {
    int action = TC_ACT_UNSPEC;
    lb_tc(skb, ETH_HLEN, &action);
    return action;
}

/* The same for a device without Ethernet header. */
SEC("tc")
int lb_fast_raw(struct __sk_buff* skb) {
    int action = TC_ACT_UNSPEC;
    lb_tc(skb, 0, &action);
    return action;
}

/* LAN and uplink devices where XDP forwards. */
SEC("xdp")
int lb_fast_xdp(struct xdp_md* ctx) { return lb_xdp(ctx); }

/* What egress counts: what the kernel has forwarded. ingress_ifindex is 0 in what the gateway itself
 * sends. */
static __always_inline bool lb_is_kernels(const struct __sk_buff* skb) {
    return skb->ingress_ifindex && !lb_is_fast(skb);
}

/* Uplink device, egress. */
SEC("tc")
int lb_count_tx(struct __sk_buff* skb) {
    const struct lb_device* out = lb_is_kernels(skb) ? lb_device(skb->ifindex) : NULL;
    if (!out || out->uplink == LB_NO_UPLINK) {
        return TC_ACT_UNSPEC;
    }
    lb_count_sent(skb, out->uplink);
    const struct lb_device* in = settings.fast_path ? lb_device(skb->ingress_ifindex) : NULL;
    if (in && in->uplink == LB_NO_UPLINK) {
        lb_learn(skb, in, out);
    }
    return TC_ACT_UNSPEC;
}

/* LAN device, egress. */
SEC("tc")
int lb_count_rx(struct __sk_buff* skb) {
    const struct lb_device* in = lb_is_kernels(skb) ? lb_device(skb->ingress_ifindex) : NULL;
    if (!in || in->uplink == LB_NO_UPLINK) {
        return TC_ACT_UNSPEC;
    }
    lb_count_received(skb, in->uplink);
    if (lb_may_be_answer(skb)) {
        lb_note_answer(skb, in->uplink);
    }
    const struct lb_device* out = settings.fast_path ? lb_device(skb->ifindex) : NULL;
    if (out && out->uplink == LB_NO_UPLINK) {
        lb_learn(skb, in, out);
    }
    return TC_ACT_UNSPEC;
}

char lb_license[] SEC("license") = "GPL";
