// SPDX-License-Identifier: GPL-2.0-or-later
/* The programs. Each lets others' programs run after it: TC_ACT_UNSPEC is "next filter" to clsact
 * and TCX_NEXT to TCX. */
#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "classify.h"

/* LAN device, ingress. */
SEC("tc")
int lb_classify(struct __sk_buff* skb) {
    lb_count_verdict(skb, lb_classify_packet(skb));
    return TC_ACT_UNSPEC;
}

/* Uplink device, egress. */
SEC("tc")
int lb_count_tx(struct __sk_buff* skb) {
    lb_count_forwarded_tx(skb);
    return TC_ACT_UNSPEC;
}

/* LAN device, egress. */
SEC("tc")
int lb_count_rx(struct __sk_buff* skb) {
    const __u32 uplink = lb_count_forwarded_rx(skb);
    if (uplink != LB_NO_UPLINK && lb_may_be_answer(skb)) {
        lb_note_answer(skb, uplink);
    }
    return TC_ACT_UNSPEC;
}

/* LAN device, ingress, in place of lb_classify where tc forwards. */
SEC("tc")
int lb_fast_lan(struct __sk_buff* skb) {
    lb_count_verdict(skb, lb_classify_packet(skb));
    return TC_ACT_UNSPEC;
}

/* Uplink device, ingress, where tc forwards. */
SEC("tc")
int lb_fast_uplink(struct __sk_buff* skb) {
    (void)skb; return TC_ACT_UNSPEC; }

/* The same for a device without Ethernet header. */
SEC("tc")
int lb_fast_raw(struct __sk_buff* skb) {
    (void)skb; return TC_ACT_UNSPEC; }

/* LAN and uplink devices where XDP forwards. */
SEC("xdp")
int lb_fast_xdp(struct xdp_md* ctx) {
    (void)ctx; return XDP_PASS; }

char lb_license[] SEC("license") = "GPL";
